"""The control plane: resources, authentication, job rows and events; it never touches pixels, torch or Ray."""
