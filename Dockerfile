# segmentd in a container: `docker build -t segmentd .`, then `docker run segmentd --help`.
# One image for every role (`up`, `api`, `evaluator`, `intake`). It runs as a user without a name or a home, on a root
# file system that may be read-only: it writes to /tmp (give it a tmpfs) and, as `up` without REDIS_URL, to /data.
# It listens on all addresses, so it wants SEGMENTD_TOKENS. deploy/compose.yaml runs all of it.

# -- the virtual environment ------------------------------------------------------------------------------------------
FROM python:3.13.9-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv /opt/segmentd
# What it needs first, at the versions that the tests ran with: a change of code leaves this layer as it is.
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" \
        > requirements.txt \
    && /opt/segmentd/bin/pip install --only-binary :all: --constraint constraints.txt --requirement requirements.txt
COPY README.md LICENSE ./
COPY rules ./rules
COPY consumers ./consumers
COPY service ./service
RUN /opt/segmentd/bin/pip install --no-deps . && /opt/segmentd/bin/pip check

# -- what runs --------------------------------------------------------------------------------------------------------
FROM python:3.13.9-slim-bookworm
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="segmentd" \
      org.opencontainers.image.description="Event-streaming customer segmentation: exact entries and exits, by event and by clock" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/segmentd /opt/segmentd
RUN install --directory --owner=10001 --group=10001 --mode=0700 /data
ENV PATH=/opt/segmentd/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SEGMENTD_DATA_DIR=/data \
    SEGMENTD_HTTP_HOST=0.0.0.0 \
    SEGMENTD_HTTP_PORT=8080
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8080
USER 10001:10001
STOPSIGNAL SIGTERM
# Alive, not able to work: a container whose store is away must not be restarted for it. Readiness is /readyz.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['SEGMENTD_HTTP_PORT']), timeout=4); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["segmentd"]
CMD ["up"]
