"""Whether what adapters edit still looks like what they were fitted on."""
