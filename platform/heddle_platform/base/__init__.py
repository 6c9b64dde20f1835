"""The shared base: a frozen encoder and decoder pair, how it is trained, packed and run."""
