//! What people write and read: files, options in them, and messages about words that nobody knows.

mod cache;
mod files;
mod hex;
pub mod options;
mod suggest;

pub use cache::cache_folder;
pub use files::{MAX_TEXT, open_file, read_file, read_text_file, read_yaml_file};
pub use hex::hex;
pub use suggest::{
    did_you_mean, did_you_mean_aside, is_slip_of, nearest, shortened, with_suggestion,
};
