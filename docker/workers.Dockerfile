# Image of the Ray head, the Ray workers and the dispatcher (extra "workers"): torch and Ray live here only.
# Build from the repository's root: docker build -f docker/workers.Dockerfile -t heddle-workers .
#
# torch: the ordinary registry's Linux build brings gigabytes of CUDA. Give TORCH_INDEX_URL (PyTorch's own index of
# CPU or CUDA builds) to choose; without TORCH_BUILD=cuda a CUDA build is refused rather than shipped by surprise.
FROM python:3.11.14-slim-bookworm AS build
ARG TORCH_INDEX_URL=""
ARG TORCH_BUILD=cpu
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source
COPY constraints.txt ./
RUN python -m venv /opt/heddle \
    && torch="$(grep '^torch==' constraints.txt)" \
    && /opt/heddle/bin/pip install --no-cache-dir --no-compile --constraint constraints.txt \
        ${TORCH_INDEX_URL:+--extra-index-url "$TORCH_INDEX_URL"} "$torch" \
    && /opt/heddle/bin/python -c "import sys, torch; sys.exit('this torch is a CUDA build; set TORCH_INDEX_URL to an index of CPU builds, or TORCH_BUILD=cuda' if torch.version.cuda and '$TORCH_BUILD' != 'cuda' else 0)"
COPY pyproject.toml README.md ./
COPY platform ./platform
COPY adapters ./adapters
COPY infra ./infra
COPY workers ./workers
COPY api ./api
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && wheel="$(ls /wheels/heddle-*.whl)" \
    && /opt/heddle/bin/pip install --no-cache-dir --no-compile --constraint constraints.txt "${wheel}[sweeps]"

FROM python:3.11.14-slim-bookworm
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini=0.19.0-1* \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --create-home --shell /usr/sbin/nologin heddle
COPY --from=build /opt/heddle /opt/heddle
COPY --chmod=0555 docker/dispatcher.sh /usr/local/bin/heddle-dispatcher
# Ray reads code from this installed wheel, never from a working directory; its usage statistics stay off.
ENV PATH=/opt/heddle/bin:$PATH PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1 \
    RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
USER 10001:10001
WORKDIR /home/heddle
# Either role answers once a Ray head can be reached from here.
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=3 \
    CMD ["sh", "-c", "ray health-check --address \"$HEDDLE_RAY_ADDRESS\""]
ENTRYPOINT ["tini", "-g", "--"]
CMD ["heddle-dispatcher"]
