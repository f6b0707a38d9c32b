# The product in one image: which part runs is the command, what it is connected to is the environment.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
ENV UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
RUN pip install --no-cache-dir --disable-pip-version-check uv hatchling
WORKDIR /build
# What the product needs, in the versions and with the hashes of the lock; a layer that a change of the code leaves as it is.
COPY pyproject.toml requirements.lock ./
RUN uv venv /opt/controlzero \
 && uv pip install --python /opt/controlzero/bin/python --constraint requirements.lock -r pyproject.toml --extra all
COPY . .
RUN python -m hatchling build -t wheel -d /wheels \
 && uv pip install --python /opt/controlzero/bin/python --no-deps /wheels/*.whl

FROM python:${PYTHON}-slim
RUN groupadd --gid 10001 controlzero \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/controlzero --shell /usr/sbin/nologin controlzero \
 && install -d -o 10001 -g 10001 -m 0700 /var/lib/controlzero \
 && install -d -o 10001 -g 10001 -m 0755 /run/database /run/store
COPY --from=build /opt/controlzero /opt/controlzero
ENV PATH=/opt/controlzero/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 CZ_HOME=/var/lib/controlzero
USER 10001:10001
WORKDIR /var/lib/controlzero
VOLUME /var/lib/controlzero
EXPOSE 8700 8501
CMD ["cz", "--help"]
