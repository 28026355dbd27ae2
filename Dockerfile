# The bot, without the sandbox: docker build -t eks-access .
# Secrets come at run time, from the environment or from files (docs/operations.md).
FROM python:3.12-slim AS build

WORKDIR /build
COPY pyproject.toml constraints.txt app-manifest.yml README.md LICENSE ./
COPY bot ./bot
COPY migrations ./migrations
RUN python -m venv /opt/eks-access \
    && /opt/eks-access/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --constraint constraints.txt .

FROM python:3.12-slim

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
