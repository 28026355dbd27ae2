# The bot, without the sandbox: docker build -t eks-access .
# Secrets come at run time, from the environment or from files (docs/operations.md).
# The tag says what the digest is of; the digest alone counts. `docker buildx imagetools inspect
# python:3.12-slim` prints a newer one.
ARG BASE=python:3.12-slim@sha256:78387bc3881b8273120a12ebe6c1ab22b018ccc2c9adf565ae1ac9b536e184ea

FROM ${BASE} AS build

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_REQUIRE_HASHES=1
WORKDIR /build
COPY requirements.txt requirements-build.txt ./
RUN python -m venv /opt/build \
    && /opt/build/bin/python -m pip install --requirement requirements-build.txt \
    && python -m venv --without-pip /opt/eks-access \
    && python -m pip --python /opt/eks-access/bin/python install --requirement requirements.txt
COPY pyproject.toml app-manifest.yml README.md LICENSE ./
COPY bot ./bot
COPY migrations ./migrations
RUN /opt/build/bin/python -m hatchling build --target wheel \
    && PIP_REQUIRE_HASHES=0 python -m pip --python /opt/eks-access/bin/python install --no-deps dist/*.whl

FROM ${BASE}

# What runs needs no installer, and whoever gets in finds none.
RUN python -m pip uninstall --yes pip && rm -r /usr/local/lib/python3.12/ensurepip
COPY --from=build /opt/eks-access /opt/eks-access
RUN groupadd --gid 10001 eks-access \
    && useradd --uid 10001 --gid eks-access --no-create-home --shell /usr/sbin/nologin eks-access \
    && install -d -o eks-access -g eks-access /var/lib/eks-access

ENV PATH=/opt/eks-access/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    EKS_ACCESS_CONFIG=/etc/eks-access/eks-access.yaml \
    EKS_ACCESS_HTTP_HOST=0.0.0.0 \
    EKS_ACCESS_HTTP_PORT=8000

# Where a SQLite file lies, unless DATABASE_URL says otherwise. With PostgreSQL nothing is kept here.
WORKDIR /var/lib/eks-access
USER 10001:10001
EXPOSE 8000

HEALTHCHECK --interval=30s --timeout=5s --start-period=15s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['EKS_ACCESS_HTTP_PORT'] + '/healthz', timeout=4)"]

ENTRYPOINT ["eks-access"]
CMD ["run"]
