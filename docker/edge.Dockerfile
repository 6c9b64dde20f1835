# Image of the edge: image in, edited image out, ONNX Runtime in process. No torch, no Ray (extra "api").
# Build from the repository's root: docker build -f docker/edge.Dockerfile -t heddle-edge .
FROM python:3.11.14-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source
COPY pyproject.toml README.md constraints.txt ./
COPY platform ./platform
COPY adapters ./adapters
COPY infra ./infra
COPY workers ./workers
COPY api ./api
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && python -m venv /opt/heddle \
    && wheel="$(ls /wheels/heddle-*.whl)" \
    && /opt/heddle/bin/pip install --no-cache-dir --no-compile --constraint constraints.txt "${wheel}[api]"

FROM python:3.11.14-slim-bookworm
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini=0.19.0-1* \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin heddle
COPY --from=build /opt/heddle /opt/heddle
# PYTHONSAFEPATH: the working directory never hides the standard library's "platform".
ENV PATH=/opt/heddle/bin:$PATH PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
USER 10001:10001
WORKDIR /srv
EXPOSE 8001
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8001/healthz', timeout=2)"]
ENTRYPOINT ["tini", "--"]
CMD ["python", "-m", "uvicorn", "heddle_api.edge.app:create_app", "--factory", "--host", "0.0.0.0", "--port", "8001", "--no-access-log"]
