# One image, one process a container: the command names which. Packages come from the lock, hashes checked.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY deploy/runtime.lock ./
RUN python -m venv /opt/logmend \
    && /opt/logmend/bin/pip install --no-cache-dir --require-hashes --requirement runtime.lock
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY streams streams
COPY schemas schemas
COPY analytics analytics
COPY lab lab
RUN /opt/logmend/bin/pip install --no-cache-dir --no-deps .

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /data --create-home logmend
COPY --from=build /opt/logmend /opt/logmend
ENV PATH=/opt/logmend/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    LOGMEND_DATA_DIR=/data
USER logmend
WORKDIR /data
VOLUME /data
ENTRYPOINT ["logmend"]
CMD ["--help"]
