//! The functions of `process_group` and `reducer`, compiled with the feature `distributed`.

#[cxx::bridge]
pub(crate) mod bridge {
    #[namespace = "at"]
    unsafe extern "C++" {
        include!("cresset-bridge/src/exception.h");
        include!("cresset-bridge/src/api/process_group.h");
        include!("cresset-bridge/src/api/reducer.h");

        type Tensor = crate::ffi::Tensor;
    }

    #[namespace = "cresset"]
    unsafe extern "C++" {
        type ProcessGroup;
        fn join_process_group(
            host: &str,
            port: u16,
            hosts_store: bool,
            was_used: bool,
            rank: i32,
            size: i32,
            timeout_ms: i64,
        ) -> Result<UniquePtr<ProcessGroup>>;
        fn open_nccl(self: &ProcessGroup, timeout_ms: i64) -> Result<()>;
        fn all_reduce_sum(self: &ProcessGroup, tensor: &Tensor) -> Result<()>;
        fn all_reduce_max(self: &ProcessGroup, tensor: &Tensor) -> Result<()>;
        fn broadcast(self: &ProcessGroup, tensor: &Tensor) -> Result<()>;
        fn all_gather(self: &ProcessGroup, tensor: &Tensor, all: &Tensor) -> Result<()>;
        fn key_value_store(self: &ProcessGroup) -> Result<UniquePtr<KeyValueStore>>;

        type KeyValueStore;
        fn set(self: &KeyValueStore, key: &str, value: &str) -> Result<()>;
        fn get(self: &KeyValueStore, key: &str) -> Result<String>;

        type Reducer;
        fn new_reducer(group: &ProcessGroup) -> Result<UniquePtr<Reducer>>;
        fn add_parameter(self: Pin<&mut Reducer>, parameter: &Tensor) -> Result<()>;
        fn begin(self: Pin<&mut Reducer>, bucket_bytes: i64) -> Result<()>;
        fn prepare(self: &Reducer) -> Result<()>;
        fn all_reduce_with_grad(group: &ProcessGroup, tensor: &Tensor) -> Result<UniquePtr<Tensor>>;
    }
}

pub(crate) use bridge::*;
