# The program with libtorch, for Linux on x86-64. Needs BuildKit, the default of current versions of Docker.
#
#   docker build --tag cresset .                            for a CPU
#   docker build --tag cresset:cuda --build-arg CUDA=1 .    with the CUDA libraries (3 GB more) and the CUDA plugin

FROM rust:1.90-bookworm AS build
# The newest version of the distribution is the right one.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends g++ make python3 python3-pip
# The toolchain of the image, instead of the newest that rust-toolchain.toml asks for.
ENV RUSTUP_TOOLCHAIN=1.90.0
# 0 or 1; scripts/fetch-libtorch reads it. libtorch goes to /opt/cresset, where the program looks for it.
ARG CUDA=0
ENV CUDA=$CUDA XDG_CACHE_HOME=/opt
WORKDIR /source
COPY . .
RUN make build data && make install DESTDIR=/image
WORKDIR /opt/cresset
RUN mkdir -p /image/opt/cresset && cp -a --parents libtorch-*/torch/lib libtorch-*/nvidia* views /image/opt/cresset

FROM debian:bookworm-slim
COPY --from=build /image /
# What NVIDIA's container toolkit adds to a container with GPUs.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /work
ENTRYPOINT ["cresset"]
CMD ["--help"]
