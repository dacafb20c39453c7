# One image for all services that run this code; docker-compose.yml says which command each of them runs.
FROM python:3.12.11-slim-bookworm

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/app \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    DAGSTER_DISABLE_TELEMETRY=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    CAUSEWAY_HOME=/var/lib/causeway

# LightGBM, which EconML brings, is linked against OpenMP.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --create-home --home-dir /home/causeway --shell /usr/sbin/nologin causeway

WORKDIR /app
COPY requirements.lock ./
RUN pip install --no-deps -r requirements.lock

COPY . .
# The manifest is parsed once here. dbt writes beside it at run time, so the folder belongs to the user who runs it; a named
# volume takes its owner from the folder that it is mounted over.
RUN pip install --no-deps --no-build-isolation --editable . \
    && cd dbt_project && DBT_PROFILES_DIR=. dbt --quiet parse && cd .. \
    && mkdir -p landing "$CAUSEWAY_HOME" \
    && chown -R causeway:causeway dbt_project landing "$CAUSEWAY_HOME"

USER 10001:10001
ENTRYPOINT ["python", "/app/container/entrypoint.py"]
CMD ["causeway", "--help"]
