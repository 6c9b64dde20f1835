"""What a tenant gets: a read/write pair of matrices, its edits, its scores, its ONNX graph. Functions on arrays."""
