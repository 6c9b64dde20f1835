"""The words everybody uses, the ports to the outside, and the shared base model."""
