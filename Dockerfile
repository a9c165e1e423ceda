# syntax=docker/dockerfile:1
# Stage 1 builds a virtual environment from the hashed lock and the wheel of this checkout; stage 2 holds only that.
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/exoscore
COPY requirements.lock ./
RUN /opt/exoscore/bin/pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY service ./service
COPY migrations ./migrations
COPY model_artifacts ./model_artifacts
RUN python -m pip wheel --no-deps --wheel-dir /wheels . \
    && /opt/exoscore/bin/pip install --no-deps /wheels/*.whl \
    && /opt/exoscore/bin/pip uninstall --yes pip setuptools

FROM python:${PYTHON}
LABEL org.opencontainers.image.title="ExoScore" \
      org.opencontainers.image.description="Clinical scoring service for exosome biomarker panels; bundled models are research use only" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN python -m pip uninstall --yes pip setuptools wheel \
    && groupadd --system --gid 10001 exoscore \
    && useradd --system --uid 10001 --gid exoscore --home-dir /var/lib/exoscore --shell /usr/sbin/nologin exoscore \
    && install --directory --owner=exoscore --group=exoscore --mode=0700 /var/lib/exoscore
COPY --from=build /opt/exoscore /opt/exoscore
ENV PATH=/opt/exoscore/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    EXOSCORE_ENV=production \
    EXOSCORE_HOME=/var/lib/exoscore
USER 10001:10001
# The only path written to: run with --read-only and mount a volume here (SQLite), or use PostgreSQL.
VOLUME ["/var/lib/exoscore"]
WORKDIR /var/lib/exoscore
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/ready', timeout=2)"]
ENTRYPOINT ["exoscore"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
