//! Training: runs that end, stop, resume, or take several processes, and searches for better options.

mod bad_texts;
mod bag;
mod bag_after;
mod distributed;
mod encoders;
mod engine;
mod events;
mod hashed;
mod head_only;
mod job;
mod memory;
mod network;
mod one_writer;
mod pretrained;
mod progress;
mod reading;
mod recipe;
mod recommend;
mod resume;
mod starters;
mod streamed;
mod streamed_texts;
#[path = "../support/mod.rs"]
mod support;
mod tasks;
mod teacher;
mod texts;
mod transfer;
mod tune;
mod unfinished;
mod vocabulary;
