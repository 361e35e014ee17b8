//! Stubs for a build without the feature `distributed`: process groups cannot be joined, so their methods are never called.

/// Stub of the module that the feature compiles.
pub mod process_group {
    use std::time::Duration;

    use tch::Tensor;

    pub use crate::api::rendezvous::Rendezvous;
    use crate::{Error, Result};

    /// A process group, which cannot be created in this build.
    #[derive(Debug)]
    pub enum ProcessGroup {}

    impl ProcessGroup {
        /// Fails.
        ///
        /// # Errors
        /// Always.
        pub fn join(_: &Rendezvous) -> Result<Self> {
            Err(Error("this program was built without the feature `distributed`".to_string()))
        }

        /// Cannot be called.
        pub fn open_nccl(&self, _: Duration) -> Result<()> {
            match *self {}
        }

        /// Cannot be called.
        pub fn all_reduce_sum(&self, _: &mut Tensor) -> Result<()> {
            match *self {}
        }

        /// Cannot be called.
        pub fn all_reduce_max(&self, _: &mut Tensor) -> Result<()> {
            match *self {}
        }

        /// Cannot be called.
        pub fn broadcast(&self, _: &mut Tensor) -> Result<()> {
            match *self {}
        }

        /// Cannot be called.
        pub fn all_gather(&self, _: &Tensor, _: u32) -> Result<Tensor> {
            match *self {}
        }

        /// Cannot be called.
        pub fn key_value_store(&self) -> Result<KeyValueStore> {
            match *self {}
        }

        /// Cannot be called.
        pub fn all_reduce_with_grad(&self, _: &Tensor) -> Result<Tensor> {
            match *self {}
        }

        /// Cannot be called.
        pub fn broadcast_text(&self, _: &mut String) -> Result<()> {
            match *self {}
        }
    }

    /// A key-value store, which cannot be created in this build.
    #[derive(Debug)]
    pub enum KeyValueStore {}

    impl KeyValueStore {
        /// Cannot be called.
        pub fn set(&self, _: &str, _: &str) -> Result<()> {
            match *self {}
        }

        /// Cannot be called.
        pub fn get(&self, _: &str) -> Result<Option<String>> {
            match *self {}
        }
    }
}

/// Stub of the module that the feature compiles.
pub mod reducer {
    use tch::Tensor;

    use super::process_group::ProcessGroup;
    use crate::Result;

    /// Averages gradients over a process group; cannot be created in this build.
    #[derive(Debug)]
    pub enum Reducer {}

    impl Reducer {
        /// Cannot be called.
        pub fn new<'a>(group: &ProcessGroup, _: impl IntoIterator<Item = &'a Tensor>) -> Result<Self> {
            match *group {}
        }

        /// Cannot be called.
        pub fn prepare(&self) -> Result<()> {
            match *self {}
        }
    }
}
