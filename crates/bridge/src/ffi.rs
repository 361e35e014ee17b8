//! The interface between Rust and C++, in one place. `allocator`, `autocast`, `collections`, `compiled`, `compiled_package`, `convolution`, `cutting`,
//! `freezing`, `gradients`, `graph`, `lstm`, `memory`, `model_file`, `norm`, `optimizer`, `package`, `perceptron`,
//! `process`, `quantization`, `random`, `recording`, `schema`, `script` and `tally` are its safe wrappers.

#[cxx::bridge]
pub(crate) mod bridge {
    /// A text file stored in a model file next to the code, such as `metadata.json`.
    struct ExtraFile {
        name: String,
        text: String,
    }

    /// An operation in the code of a model file.
    struct FoundOperation {
        method: String,
        kind: String,
        count: u64,
        is_allowed: bool,
    }

    /// The parameters of one direction of an LSTM, float32: `weight_ih` (4 · hidden, inputs), `weight_hh`
    /// (4 · hidden, hidden), and their biases, (4 · hidden) each.
    struct LstmDirection<'a> {
        from_input: &'a Tensor,
        from_state: &'a Tensor,
        input_bias: &'a Tensor,
        state_bias: &'a Tensor,
    }

    /// The parameters and running statistics of a batch normalization, (channels) each, its options, and whether a ReLU follows.
    struct BatchNorm<'a> {
        weight: &'a Tensor,
        bias: &'a Tensor,
        running_mean: &'a Tensor,
        running_variance: &'a Tensor,
        momentum: f64,
        epsilon: f64,
        is_rectified: bool,
    }

    /// The type of an operation's argument.
    #[derive(Debug, Clone, Copy)]
    enum ArgumentKind {
        None,
        Tensor,
        Tensors,
        OptionalTensors,
        Bool,
        Int,
        Ints,
        Float,
        Floats,
        Text,
        Other,
    }

    /// An argument of an operation; `kind` says which member holds the value.
    struct TraceArgument {
        name: String,
        kind: ArgumentKind,
        /// Indexes of tensors.
        values: Vec<usize>,
        ints: Vec<i64>,
        floats: Vec<f64>,
        text: String,
    }

    /// An operation that was executed.
    struct TraceNode {
        kind: String,
        overload: String,
        layer: String,
        arguments: Vec<TraceArgument>,
        outputs: Vec<usize>,
    }

    /// A tensor that was used or created.
    struct TraceValue {
        name: String,
        depends_on_input: bool,
        sizes: Vec<i64>,
    }

    /// An argument of an operator's schema.
    struct SchemaArgument {
        name: String,
        type_name: String,
        is_keyword_only: bool,
    }

    /// The schema of an operator in libtorch's dispatcher.
    struct OperatorSchema {
        is_known: bool,
        is_mutable: bool,
        arguments: Vec<SchemaArgument>,
        returns: Vec<String>,
    }

    #[namespace = "at"]
    unsafe extern "C++" {
        include!("cresset-bridge/src/exception.h");
        include!("cresset-bridge/src/kernels/allocator.h");
        include!("cresset-bridge/src/api/autocast.h");
        include!("cresset-bridge/src/kernels/bernoulli.h");
        include!("cresset-bridge/src/api/collections.h");
        include!("cresset-bridge/src/kernels/column_vectors.h");
        include!("cresset-bridge/src/kernels/compiled.h");
        include!("cresset-bridge/src/kernels/convolution.h");
        include!("cresset-bridge/src/api/cutting.h");
        include!("cresset-bridge/src/api/embedding.h");
        include!("cresset-bridge/src/kernels/embedding_bag.h");
        include!("cresset-bridge/src/api/freezing.h");
        include!("cresset-bridge/src/api/gradients.h");
        include!("cresset-bridge/src/api/graph.h");
        include!("cresset-bridge/src/kernels/lstm.h");
        include!("cresset-bridge/src/kernels/matrix_product.h");
        include!("cresset-bridge/src/api/memory.h");
        include!("cresset-bridge/src/api/model_file.h");
        include!("cresset-bridge/src/kernels/norm.h");
        include!("cresset-bridge/src/api/script.h");
        include!("cresset-bridge/src/api/optimizer.h");
        include!("cresset-bridge/src/api/compiled_package.h");
        include!("cresset-bridge/src/api/package.h");
        include!("cresset-bridge/src/kernels/perceptron.h");
        include!("cresset-bridge/src/api/process.h");
        include!("cresset-bridge/src/api/quantization.h");
        include!("cresset-bridge/src/api/random.h");
        include!("cresset-bridge/src/api/recording.h");
        include!("cresset-bridge/src/api/schema.h");
        include!("cresset-bridge/src/kernels/tally.h");

        type Tensor;
    }

    #[namespace = "cresset"]
    unsafe extern "C++" {
        type Values;
        fn new_values() -> UniquePtr<Values>;
        fn put_tensor(self: Pin<&mut Values>, name: &str, tensor: &Tensor) -> Result<()>;
        fn put_strings(self: Pin<&mut Values>, name: &str, strings: Vec<String>) -> Result<()>;
        fn put_int(self: Pin<&mut Values>, name: &str, value: i64) -> Result<()>;
        fn put_indexes(
            self: Pin<&mut Values>,
            name: &str,
            texts: Vec<String>,
            lengths: &[usize],
        ) -> Result<()>;

        type ModelFile;
        fn open_model_file(descriptor: i32) -> Result<UniquePtr<ModelFile>>;
        fn size(self: &ModelFile, record: &str) -> Result<i64>;
        fn read(self: &ModelFile, record: &str) -> Result<Vec<u8>>;
        fn load(
            self: &ModelFile,
            device: &str,
            allowed: &str,
            found: &mut Vec<FoundOperation>,
        ) -> Result<UniquePtr<ScriptModule>>;
        fn load_trusted(
            self: &ModelFile,
            device: &str,
            found: &mut Vec<FoundOperation>,
        ) -> Result<UniquePtr<ScriptModule>>;
        fn operation_names() -> Result<Vec<String>>;

        type ScriptModule;
        fn module_from_source(
            source: &str,
            class_name: &str,
            values: &Values,
        ) -> Result<UniquePtr<ScriptModule>>;
        fn load_module(
            path: &str,
            device: &str,
            extra: &mut Vec<ExtraFile>,
        ) -> Result<UniquePtr<ScriptModule>>;
        fn save(self: &ScriptModule, path: &str, extra: &[ExtraFile]) -> Result<()>;
        fn set_training(self: Pin<&mut ScriptModule>, training: bool) -> Result<()>;
        fn state(self: &ScriptModule, tensors: Pin<&mut Values>) -> Result<Vec<String>>;
        fn call(self: &ScriptModule, method: &str, input: &Tensor, results: Pin<&mut Values>) -> Result<()>;
        fn call_with_cells(
            self: &ScriptModule,
            method: &str,
            input: &Tensor,
            cells: Vec<String>,
            lengths: &[usize],
            results: Pin<&mut Values>,
        ) -> Result<()>;
        fn call_with_intermediates(
            self: &ScriptModule,
            method: &str,
            input: &Tensor,
            results: Pin<&mut Values>,
        ) -> Result<()>;
        fn define(self: Pin<&mut ScriptModule>, source: &str) -> Result<()>;
        fn result_type(self: &ScriptModule, method: &str) -> Result<String>;
        fn methods(self: &ScriptModule) -> Result<Vec<String>>;
        fn class_name(self: &ScriptModule) -> Result<String>;
        fn knows_class(self: &ScriptModule, name: &str) -> Result<bool>;
        fn tensors(self: &ScriptModule, parameters: bool, values: Pin<&mut Values>) -> Result<Vec<String>>;
        fn set_parameter(self: Pin<&mut ScriptModule>, name: &str, value: &Tensor) -> Result<()>;
        fn child(self: &ScriptModule, name: &str) -> Result<UniquePtr<ScriptModule>>;
        fn copy(self: &ScriptModule) -> Result<UniquePtr<ScriptModule>>;
        fn wrapped(
            self: &ScriptModule,
            source: &str,
            class_name: &str,
            values: &Values,
            attribute: &str,
        ) -> Result<UniquePtr<ScriptModule>>;
        fn names(self: &Values) -> Vec<String>;
        fn set_int(self: Pin<&mut ScriptModule>, name: &str, value: i64) -> Result<()>;

        fn put_ints(values: Pin<&mut Values>, name: &str, ints: &[i64]) -> Result<()>;
        fn put_int_dictionary(values: Pin<&mut Values>, name: &str, keys: &[i64], ints: &[i64])
        -> Result<()>;
        fn put_text_dictionary(
            values: Pin<&mut Values>,
            name: &str,
            keys: &Vec<String>,
            ints: &[i64],
        ) -> Result<()>;
        fn call_with_text(module: &ScriptModule, method: &str, text: &[u8]) -> Result<Vec<i64>>;
        fn call_with_texts(
            module: &ScriptModule,
            method: &str,
            first: &[u8],
            other: &[u8],
            second: &mut Vec<i64>,
        ) -> Result<Vec<i64>>;

        fn cut_before_head(module: Pin<&mut ScriptModule>, from: &str, to: &str) -> Result<bool>;

        fn call_with_scaled_embedding(
            module: &ScriptModule,
            method: &str,
            input: &Tensor,
            factors: &Tensor,
            results: Pin<&mut Values>,
        ) -> Result<()>;

        fn frozen(module: &ScriptModule, kept: &[&str]) -> Result<UniquePtr<ScriptModule>>;
        fn fold_constants(module: Pin<&mut ScriptModule>) -> Result<()>;
        fn constants(module: &ScriptModule, values: Pin<&mut Values>) -> Result<()>;

        fn observed(module: &ScriptModule, dynamic: bool) -> Result<UniquePtr<ScriptModule>>;
        fn quantized(observed: &ScriptModule, dynamic: bool) -> Result<UniquePtr<ScriptModule>>;
        fn uses(module: &ScriptModule, operation: &str) -> Result<bool>;
        fn put_quantized_cell(
            values: Pin<&mut Values>,
            name: &str,
            weight_ih: &Tensor,
            weight_hh: &Tensor,
            bias_ih: &Tensor,
            bias_hh: &Tensor,
        ) -> Result<()>;

        type Compiled;
        fn compile(module: &ScriptModule, method: &str) -> Result<UniquePtr<Compiled>>;
        fn compile_folded(
            module: &ScriptModule,
            method: &str,
            in_blocks: bool,
        ) -> Result<UniquePtr<Compiled>>;
        fn run(self: &Compiled, input: &Tensor) -> Result<UniquePtr<Tensor>>;
        fn scaled(raw: &Tensor, offset: &Tensor, scale: &Tensor, sizes: &[i64]) -> Result<UniquePtr<Tensor>>;

        type Recording;
        fn begin_recording(
            module: &ScriptModule,
            values: &Values,
            example: &Tensor,
        ) -> Result<UniquePtr<Recording>>;
        fn finish(
            self: Pin<&mut Recording>,
            module: Pin<&mut ScriptModule>,
            method: &str,
            output: &Tensor,
        ) -> Result<()>;
        fn warnings(self: &Recording) -> Vec<String>;
        fn take_tensor(self: Pin<&mut Values>, name: &str) -> Result<UniquePtr<Tensor>>;

        type Trace;
        fn trace_forward(module: &ScriptModule, input: &Tensor) -> Result<UniquePtr<Trace>>;
        fn take_nodes(self: Pin<&mut Trace>) -> Vec<TraceNode>;
        fn values(self: &Trace) -> Vec<TraceValue>;
        fn tensor(self: &Trace, value: usize) -> Result<UniquePtr<Tensor>>;
        fn input(self: &Trace) -> usize;
        fn output(self: &Trace) -> usize;

        fn operator_schema(name: &str, overload: &str) -> Result<OperatorSchema>;

        type CompiledPackage;
        fn open_compiled_package(
            path: &str,
            model: &str,
            libtorch: &[u8],
        ) -> Result<UniquePtr<CompiledPackage>>;
        fn run(self: &CompiledPackage, input: &Tensor) -> Result<UniquePtr<Tensor>>;

        type Package;
        fn open_package(path: &str, model: &str) -> Result<UniquePtr<Package>>;
        fn run(self: &Package, input: &Tensor) -> Result<UniquePtr<Tensor>>;
        fn extra(self: &Package, name: &str) -> Result<Vec<u8>>;

        type Group;
        fn new_group(step: &Tensor) -> UniquePtr<Group>;
        fn add(self: Pin<&mut Group>, parameter: &Tensor, first: &Tensor, second: &Tensor) -> Result<()>;
        fn read_from(self: Pin<&mut Group>, lr: &Tensor, skip: &Tensor) -> Result<()>;
        fn select(self: Pin<&mut Group>, small_adam: bool, flush_subnormals: bool);
        fn adam_step(
            self: Pin<&mut Group>,
            lr: f64,
            beta1: f64,
            beta2: f64,
            eps: f64,
            weight_decay: f64,
            decoupled: bool,
        ) -> Result<bool>;
        fn sgd_step(
            self: Pin<&mut Group>,
            lr: f64,
            momentum: f64,
            nesterov: bool,
            weight_decay: f64,
        ) -> Result<()>;
        fn adagrad_step(
            self: Pin<&mut Group>,
            lr: f64,
            lr_decay: f64,
            eps: f64,
            weight_decay: f64,
        ) -> Result<()>;
        fn rmsprop_step(
            self: Pin<&mut Group>,
            lr: f64,
            alpha: f64,
            momentum: f64,
            eps: f64,
            weight_decay: f64,
        ) -> Result<()>;

        fn lstm_layer(
            inputs: &Tensor,
            forwards: &LstmDirection,
            backwards: &LstmDirection,
        ) -> Result<UniquePtr<Tensor>>;

        fn multiplies_bfloat16_tiles() -> bool;
        fn enable_bernoulli(is_enabled: bool);
        fn bernoulli_runs() -> u64;
        fn has_matrix_products() -> bool;
        fn enable_matrix_products(is_enabled: bool);
        fn matrix_product_runs() -> u64;
        fn convolve(
            pictures: &Tensor,
            weight: &Tensor,
            stride: i64,
            padding: i64,
        ) -> Result<UniquePtr<Tensor>>;

        fn column_vectors(
            rows: &Tensor,
            copies: &[i64],
            columns: &[i64],
            dense_columns: i64,
            dense: &Tensor,
            sparse: &Tensor,
        ) -> Result<UniquePtr<Tensor>>;
        fn bag_sums(
            weight: &Tensor,
            rows: &Tensor,
            padding: i64,
            has_sparse_gradient: bool,
        ) -> Result<UniquePtr<Tensor>>;
        fn adagrad_rows(
            weight: &Tensor,
            sums: &Tensor,
            rows: &Tensor,
            gradients: &Tensor,
            rate: f64,
            epsilon: f64,
        ) -> Result<bool>;
        fn batch_norm(pictures: &Tensor, norm: &BatchNorm) -> Result<UniquePtr<Tensor>>;

        type Perceptron;
        fn new_perceptron() -> UniquePtr<Perceptron>;
        fn add_layer(self: Pin<&mut Perceptron>, weight: &Tensor, bias: &Tensor) -> Result<()>;
        fn forward(self: Pin<&mut Perceptron>, inputs: &Tensor, labels: &Tensor) -> Result<f64>;
        fn backward(self: Pin<&mut Perceptron>) -> Result<()>;
        fn infer(self: &Perceptron, inputs: &Tensor) -> Result<UniquePtr<Tensor>>;
        fn loss(self: &Perceptron) -> UniquePtr<Tensor>;
        fn logits(self: &Perceptron) -> UniquePtr<Tensor>;

        type Gradients;
        fn new_gradients() -> UniquePtr<Gradients>;
        fn add_parameter(self: Pin<&mut Gradients>, parameter: &Tensor) -> Result<()>;
        fn norm(self: &Gradients) -> Result<UniquePtr<Tensor>>;
        fn scale(self: &Gradients, factor: &Tensor) -> Result<()>;
        fn clear(self: Pin<&mut Gradients>) -> Result<()>;

        type Tally;
        fn new_tally(classes: i64) -> UniquePtr<Tally>;
        fn add(self: Pin<&mut Tally>, logits: &Tensor, labels: &Tensor) -> Result<()>;
        fn loss(self: &Tally) -> f64;
        fn pairs(self: &Tally) -> &CxxVector<u64>;

        type Autocast;
        fn enter_autocast(cuda: bool, half: bool) -> Result<UniquePtr<Autocast>>;
        fn allow_tf32(allow: bool) -> Result<()>;

        fn channels_last(tensor: &Tensor) -> Result<UniquePtr<Tensor>>;
        fn exit_at_once(code: i32);
        fn ignore_file_size_signal();
        fn log_errors_only();

        fn sole_floats(tensor: &Tensor) -> *mut f32;
        fn pinned(tensor: &Tensor) -> Result<UniquePtr<Tensor>>;
        fn keep_freed_memory();

        fn start_keeping_memory();
        fn stop_keeping_memory();
        fn kept_bytes() -> usize;

        fn cpu_generator_state() -> Result<UniquePtr<Tensor>>;
        fn set_cpu_generator_state(state: &Tensor) -> Result<()>;
        fn cuda_generator_state(device: i64) -> Result<UniquePtr<Tensor>>;
        fn set_cuda_generator_state(device: i64, state: &Tensor) -> Result<()>;
    }
}

pub(crate) use bridge::*;

/// Lends a tensor to C++ for the duration of a call.
pub(crate) fn lend(tensor: &tch::Tensor) -> &Tensor {
    // SAFETY: tch holds an `at::Tensor*` that lives as long as `tensor`; the returned reference borrows `tensor`, and
    // `Tensor` is opaque and zero-sized in Rust, so only C++ reads through it.
    unsafe { &*tensor.as_ptr().cast::<Tensor>() }
}

/// Takes ownership of a tensor created in C++.
pub(crate) fn own(tensor: cxx::UniquePtr<Tensor>) -> tch::Tensor {
    // SAFETY: the pointer came from `std::make_unique<at::Tensor>` and is released here; tch frees it with
    // `delete (at::Tensor*)`, as the unique_ptr would have done.
    unsafe { tch::Tensor::from_ptr(tensor.into_raw().cast()) }
}
