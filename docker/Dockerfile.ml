# The training and batch image: everything of the API image's, and what a model is made with.
#   docker build -f docker/Dockerfile.ml -t techitfactory/churn-ml:v1.0 .
# With Spark, and a Java for it to run on:
#   docker build -f docker/Dockerfile.ml -t techitfactory/churn-ml:v1.0-spark --build-arg SPARK=1 .
ARG BASE=python:3.13-slim-trixie
ARG SPARK=0

# --- packages: locked by hash, byte-compiled here because the running container may not write ---
FROM ${BASE} AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv --without-pip /opt/venv
COPY requirements/ml.txt /build/requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /opt/venv/bin/python install --no-compile --require-hashes -r /build/requirements/ml.txt
# What the wheels bring that is never loaded here: tests, type stubs, C headers, the second documentation page, and
# interpret's libraries for other systems and its plots.
RUN find /opt/venv/lib/python3*/site-packages \
    \( -name tests -o -name '*.pyi' -o -path '*/onnxruntime/capi/libonnxruntime.so.*' \
        -o -path '*/onnxruntime/transformers' -o -path '*/numpy/_core/include' \
        -o -path '*/pyarrow/include' -o -path '*/interpret/root/bld/lib/*_debug*' \
        -o -path '*/interpret/root/bld/lib/*_mac_*' -o -path '*/interpret/root/bld/lib/*_win_*' \
        -o -path '*/interpret/root/bld/lib/*.js' -o -path '*/fastapi_offline/static/redoc.standalone.js' \) \
    -prune -exec rm -rf {} + \
    && /opt/venv/bin/python -m compileall -q -j 0 /opt/venv/lib

# --- Spark: into a folder of its own, so that it becomes a layer over the others ---
FROM packages AS spark
COPY requirements/spark.txt /build/requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /opt/venv/bin/python install --no-compile --root /spark --require-hashes -r /build/requirements/spark.txt
# What is never loaded here: examples, tests, stubs, and the store of streams and of the history server.
RUN find /spark \
    \( -name tests -o -name '*.pyi' -o -path '*/pyspark/examples' -o -path '*/pyspark/data' \
        -o -path '*/pyspark/jars/rocksdbjni-*.jar' \) \
    -prune -exec rm -rf {} + \
    && /opt/venv/bin/python -m compileall -q -j 0 -s /spark /spark

# --- Java: the modules that Spark asks for, of the distribution's own ---
FROM ${BASE} AS java
# Not pinned: the distribution has one version of each, and the next security fix would break the build.
# hadolint ignore=DL3008
RUN apt-get update \
    && mkdir -p /usr/share/man/man1 \
    && apt-get install -y --no-install-recommends libnss-wrapper openjdk-21-jdk-headless
RUN jlink --output /opt/java --compress zip-6 --strip-java-debug-attributes --no-header-files --no-man-pages \
    --add-modules java.se,jdk.charsets,jdk.crypto.ec,jdk.incubator.vector,jdk.management,jdk.naming.dns,jdk.net,jdk.security.auth,jdk.security.jgss,jdk.unsupported,jdk.zipfs \
    && mv /opt/java/bin/java /opt/java/bin/java-of-a-named-user \
    && cp /usr/lib/*/libnss_wrapper.so /opt/java/lib/
# --user may ask for one whom the system has no name for; Hadoop, by which Spark reads files, refuses to run for them
COPY --chmod=755 <<'EOF' /opt/java/bin/java
#!/bin/sh
if ! whoami >/dev/null 2>&1; then
    NSS_WRAPPER_PASSWD=$(mktemp) NSS_WRAPPER_GROUP=/etc/group LD_PRELOAD=/opt/java/lib/libnss_wrapper.so
    echo "user:x:$(id -u):$(id -g)::/tmp:/bin/sh" >"$NSS_WRAPPER_PASSWD"
    export NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP LD_PRELOAD
fi
exec /opt/java/bin/java-of-a-named-user "$@"
EOF

# --- our code as a wheel ---
FROM packages AS build
COPY requirements/build.txt /build/requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --target /opt/build --require-hashes -r /build/requirements/build.txt
WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN PYTHONPATH=/opt/build python -m flit_core.wheel --outdir /dist

# --- what runs ---
FROM ${BASE} AS runtime
# LightGBM needs the OpenMP runtime. /app/artifacts takes what any user trains where nothing is mounted; sticky, so that nobody removes another's
# Not pinned: the distribution has one version of it, and the next security fix would break the build.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --no-log-init --uid 10001 --gid 0 --no-create-home --home-dir /app --shell /bin/bash apiuser \
    && mkdir -p /app/data /app/artifacts \
    && chmod 1777 /app/artifacts
WORKDIR /app
# pip stays with the base's Python; PIP_PYTHON makes `pip list` show what is installed for the jobs
ENV PATH=/opt/venv/bin:$PATH \
    PIP_PYTHON=/opt/venv/bin/python \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    ORT_DISABLE_TELEMETRY=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MPLCONFIGDIR=/tmp/matplotlib
COPY --link --from=packages /opt/venv /opt/venv
COPY config config
RUN --mount=type=bind,from=build,source=/dist,target=/dist \
    pip install --root-user-action ignore --no-cache-dir --no-deps --no-index /dist/churn_mlops-*.whl
STOPSIGNAL SIGTERM
HEALTHCHECK NONE
USER 10001
CMD ["python", "-m", "churn_mlops.training.train_baseline"]
ARG BUILD_DATE
ARG VCS_REF
LABEL org.opencontainers.image.title="churn-mlops ML" \
      org.opencontainers.image.description="Trains calibrated, explainable churn models." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.created="${BUILD_DATE}" \
      org.opencontainers.image.revision="${VCS_REF}"

# --- with SPARK=1, more of it ---
FROM runtime AS ml-0
FROM runtime AS ml-1
COPY --link --from=spark /spark /
COPY --link --from=java /opt/java /opt/java
ENV JAVA_HOME=/opt/java PATH=/opt/java/bin:$PATH
# Without a tag: one of the two stages above, and no image of a registry.
# hadolint ignore=DL3006
FROM ml-${SPARK}
