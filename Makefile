# Start with `make train` and `make test`; `make help` lists all targets.
# Everything uses the release profile, so that torch-sys (minutes of C++) is compiled only once.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help train install uninstall wheel release test test-network test-python test-browser check gpu-kit gpu-check test-gpu-kit accuracy bench bench-more bench-head bench-few-images bench-tables bench-scale bench-ids bench-text bench-encoder bench-recommend book build data libtorch doctor clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

train: build data ## Train on the digits (ARGS="--epochs 20" passes options)
	@target/release/cresset train $(ARGS)

test: libtorch data ## Run all tests that do not need PyTorch for Python
	@scripts/check-tools examples
	@# Tests run the examples, which `cargo test` with a choice of targets builds as tests only.
	cargo build --release --workspace --examples
	cargo test --release --workspace --lib --bins --tests
	@# Each runs in a process of its own, so that they do not share a random generator.
	RUST_TEST_THREADS=$$(getconf _NPROCESSORS_ONLN) cargo test --release --workspace --doc
	cmake=$$(command -v cmake || { python=$$(scripts/python-env cmake) && echo "$${python%/*}/cmake"; }) && \
	  CRESSET_CMAKE=$$cmake cargo test --release --workspace --test export -- --ignored programs::
	python=$$(scripts/python-env onnx) && \
	  CRESSET_PYTHON_ONNX=$$python cargo test --release --workspace --test export -- --ignored onnx:: recommend:: texts::models_of_texts
	python=$$(scripts/python-env tensorboard) && \
	  CRESSET_PYTHON_TENSORBOARD=$$python cargo test --release --workspace --test runs -- --ignored tensorboard::
	python=$$(scripts/python-env tokenizers) && \
	  CRESSET_PYTHON_TOKENIZERS=$$python cargo test --release --workspace --test export -- --ignored tokenizers::
	python=$$(scripts/python-env schemathesis) && \
	  CRESSET_SCHEMATHESIS=$${python%/*}/schemathesis cargo test --release --workspace --test serve -- --ignored openapi::
	$(MAKE) --no-print-directory wheel && python=$$(scripts/python-env packaging) && notebook=$$(scripts/python-env notebook) && \
	  CRESSET_HADOLINT=$${python%/*}/hadolint CRESSET_PYTHON_NOTEBOOK=$$notebook \
	  cargo test --release --workspace --test setup -- --ignored wheel:: release:: docker:: python_module::
	@echo "Not run: the tests with PyTorch for Python (3 GB; 'make test-python'), the network and cluster tests ('make test-network', as root), and the browser tests ('make test-browser')."

test-python: libtorch data ## Run the tests with PyTorch for Python (installs it into the cache, once)
	torch=$$(scripts/python-env torch) && transformers=$$(scripts/python-env transformers) && \
	  onnx=$$(scripts/python-env onnx) && \
	  export CRESSET_PYTHON=$$torch CRESSET_PYTHON_TRANSFORMERS=$$transformers CRESSET_PYTHON_ONNX=$$onnx && \
	  cargo test --release --workspace --test export -- --include-ignored python:: encoders::
	torch=$$(scripts/python-env torch) && mlflow=$$(scripts/python-env mlflow) && \
	  CRESSET_PYTHON=$$torch CRESSET_PYTHON_MLFLOW=$$mlflow \
	  cargo test --release --workspace --test runs --test serve -- --ignored mlflow:: telemetry::
	onnx=$$(scripts/python-env onnx) && \
	  ORT_DYLIB_PATH=$$(echo $${onnx%/bin/*}/lib/python*/site-packages/onnxruntime/capi/libonnxruntime.so.*) \
	  cargo test --release --workspace --features onnx --test predict -- --include-ignored onnx_files::

test-gpu-kit: gpu-kit ## Pack the GPU kit and test it without a GPU
	cargo test --release --workspace --test setup -- --ignored gpu_kit:: cuda_plugin::

test-network: libtorch data ## Run the distributed tests in two network namespaces, under mpirun and SLURM (as root)
	cargo test --release --workspace --test train -- --ignored network:: starters::

test-browser: libtorch data ## Run the tests in Chromium (Debian: apt install chromium chromium-driver)
	driver=$$(command -v chromedriver) && CRESSET_CHROMEDRIVER=$$driver \
	  cargo test --release --workspace --test serve --test runs -- --ignored playground:: report::

check: libtorch ## Check formatting, lints and documentation
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings
	cargo clippy --release --package cresset-cli --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps --document-private-items

gpu-kit: libtorch data ## Pack the GPU checks into target/gpu-kit, to be copied to a machine without cargo
	@scripts/gpu-kit

gpu-check: ## Run the GPU kit on this machine (needs an NVIDIA GPU; installs PyTorch into the cache, once)
	@CUDA=1 $(MAKE) --no-print-directory gpu-kit && PYTHON=$$(scripts/python-env torch) && \
	  export PYTHON && target/gpu-kit/run --minutes 30

accuracy: build data ## Train each recipe on the digits with five seeds, and compare the accuracy with its goal
	cargo bench --bench accuracy

bench: build data ## Run the benchmarks against PyTorch, Lightning, Keras, burn, pandas and torchvision (QUICK=1: in minutes)
	torch=$$(scripts/python-env torch) && keras=$$(scripts/python-env keras) && \
	  cargo build --quiet --locked --release --manifest-path benches/peers/burn/Cargo.toml --target-dir target/peers && \
	  CRESSET_PYTHON=$$torch CRESSET_PYTHON_KERAS=$$keras CRESSET_BURN=target/peers/release/digits-burn cargo bench --bench speed

bench-more: build data ## Run the benchmarks of prediction, distributed training, scaling, and serving
	torch=$$(scripts/python-env torch) && serve=$$(scripts/python-env serve) && \
	  export CRESSET_PYTHON=$$torch CRESSET_PYTHON_SERVE=$$serve && \
	  cargo bench --bench inference && cargo bench --bench distributed && cargo bench --bench scaling && \
	  cargo bench --bench serve && cargo bench --bench formats

bench-head: build ## Run the benchmark of --head-only against timm and scikit-learn
	CRESSET_PYTHON=$$(scripts/python-env torch) cargo bench --bench head_only

bench-few-images: build ## Run the benchmark of few images: pretrained or from scratch (needs Debian's dataset-fashion-mnist)
	torch=$$(scripts/python-env torch) && CRESSET_PYTHON=$$torch cargo bench --bench few_images

bench-tables: build ## Run the benchmark of the automatic recipe on 43 tables against gradient boosting (PROGRAMS=lightgbm, TABLES=iris,heart, SHUFFLES=1: less)
	CRESSET_PYTHON=$$(scripts/python-env tables) cargo bench --bench tables

bench-scale: build ## Run the benchmark of a click log streamed from Parquet against PyTorch's DataLoader (ROWS=50000000; LOG=FILE: a log of an earlier run)
	torch=$$(scripts/python-env torch) && arrow=$$(scripts/python-env arrow) && \
	  CRESSET_PYTHON=$$torch CRESSET_PYTHON_ARROW=$$arrow cargo bench --bench stream_tables

bench-ids: build ## Run the benchmark of a click log with 10 million ids: memory, and the time of a step by the rows of an embedding (ROWS=1000000: less)
	cargo bench --bench hashed_ids

bench-text: build ## Run the benchmark of texts: mails, against fastText, and TF-IDF and linear classifiers of scikit-learn (needs npm)
	CRESSET_PYTHON=$$(scripts/python-env text) cargo bench --bench text

bench-encoder: build ## Run the benchmark of a text encoder against transformers' Trainer (ROWS=640 ROUNDS=1: less; needs npm)
	torch=$$(scripts/python-env torch) && trainer=$$(scripts/python-env trainer) && text=$$(scripts/python-env text) && \
	  CRESSET_PYTHON=$$torch CRESSET_PYTHON_TRAINER=$$trainer CRESSET_PYTHON_TEXT=$$text cargo bench --bench encoder

bench-recommend: build ## Run the benchmark of recommendations on MovieLens-100K against RecBole (ROUNDS=1: less)
	torch=$$(scripts/python-env torch) && recommend=$$(scripts/python-env recommend) && \
	  CRESSET_PYTHON=$$torch CRESSET_PYTHON_RECOMMEND=$$recommend cargo bench --bench recommend

book: ## Build docs/ as a book in target/book (compiles mdBook into the cache, once)
	@scripts/mdbook build docs
	@echo "written to target/book/index.html"

export PREFIX DESTDIR

build: libtorch ## Build target/release/cresset
	cargo build --release

install: target/release/cresset ## Install the program, completions and man pages (PREFIX=/usr/local, DESTDIR=)
	@scripts/install

uninstall: ## Remove what `make install` installed
	@scripts/install --uninstall

wheel: build data ## Pack the program as a Python wheel in target/wheels, which uses the libtorch of torch 2.11.0
	@python=$$(scripts/python-env packaging) && "$$python" scripts/build-wheel

release: libtorch data ## Make an archive, a wheel, a bill of materials and checksums in target/release-files
	@rm -rf target/release-files && scripts/release target/release-files

# Without libtorch as a prerequisite, so that `sudo make install` builds and downloads nothing after `make build`.
target/release/cresset:
	@$(MAKE) --no-print-directory build data

data: ## Download the named data sets into data/
	@scripts/fetch-data

libtorch: ## Download libtorch into the cache (or use the one in LIBTORCH)
	@scripts/check-tools
	@scripts/fetch-libtorch >/dev/null

doctor: build ## Check this machine and suggest fixes
	@target/release/cresset doctor

clean: ## Remove build output; the cache and the runs stay
	cargo clean
	rm -f libtorch
