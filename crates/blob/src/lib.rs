//! The Azure Blob protocol, without IO.
