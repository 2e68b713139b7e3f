//! What the API and a worker say to each other about a job.
