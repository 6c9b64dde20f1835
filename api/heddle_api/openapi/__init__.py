"""The OpenAPI documents of both planes: what FastAPI reads off the routes, made fit for a stranger."""
