//! AMS server manifests (.ism).
