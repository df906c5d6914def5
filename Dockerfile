# One image, one process a container: the command names which. Packages come from the locks, hashes checked, also those
# that build our own wheel.
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /src
COPY deploy/runtime.lock requirements.lock ./
RUN python -m venv /opt/logmend \
    && /opt/logmend/bin/pip install --no-cache-dir --require-hashes --requirement runtime.lock
RUN python -m venv /opt/build \
    && awk '/^[a-z]/ { keep = /^(hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/ } keep' \
        requirements.lock > build.lock \
    && /opt/build/bin/pip install --no-cache-dir --no-deps --require-hashes --requirement build.lock
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY streams streams
COPY schemas schemas
COPY analytics analytics
COPY lab lab
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
    && /opt/logmend/bin/pip install --no-cache-dir --no-deps /dist/*.whl

FROM python:3.11.14-slim-bookworm
# /data/log is a volume of its own, which the web and advisors read: Docker gives it the owner of this directory
RUN useradd --system --uid 10001 --home-dir /data --create-home logmend \
    && install --directory --owner logmend --group logmend /data/log
COPY --from=build /opt/logmend /opt/logmend
ENV PATH=/opt/logmend/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    LOGMEND_DATA_DIR=/data
USER logmend
WORKDIR /data
VOLUME /data
ENTRYPOINT ["logmend"]
CMD ["--help"]
