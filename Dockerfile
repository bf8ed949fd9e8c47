# syntax=docker/dockerfile:1
# Gatehouse in a container. The image brings its own Node, so the production packages are all it installs.
#
#   docker build -t gatehouse .
#   docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges -p 8080:8080 \
#     -v gatehouse-data:/data -v ./gateway.yaml:/etc/gatehouse/gateway.yaml:ro --stop-timeout 20 gatehouse
#   docker run --rm gatehouse check            # any other command

FROM node:26.10.0-bookworm-slim AS build
WORKDIR /opt/gatehouse
COPY package.json package-lock.json ./
# Not `npm ci`: the lock file holds the optional binaries of the platform it was made on, and `ci` insists on those of all.
RUN npm install --omit=dev --no-save --no-audit --no-fund --ignore-scripts
COPY LICENSE gateway.yaml ./
COPY config/reserved-usernames.txt ./config/
COPY src ./src
RUN install -d -m 0777 node_modules/.cache
# Node keeps what it compiled, for each user apart, which halves the time of a start.
USER 1000:1000
RUN node src/main.ts check --config gateway.yaml && chmod -R a+rX node_modules/.cache/gatehouse

FROM node:26.10.0-bookworm-slim
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Gatehouse" \
  org.opencontainers.image.description="An API gateway that authenticates at the edge" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}" \
  org.opencontainers.image.base.name="docker.io/library/node:26.10.0-bookworm-slim"
# What only installs packages is not for a machine that answers clients.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /opt/yarn-*
COPY --from=build --chown=0:0 /opt/gatehouse /opt/gatehouse
# `storage.directory: ./data` is relative to the configuration; the only folders that are written to are the volume and /tmp.
RUN install -d -o 1000 -g 1000 -m 0700 /data && install -d /etc/gatehouse && ln -s /data /etc/gatehouse/data \
  && cp /opt/gatehouse/gateway.yaml /etc/gatehouse/gateway.yaml && ln -s /opt/gatehouse/src/main.ts /usr/local/bin/gatehouse
# The cache is named before Node begins, so that even the first file of it need not be compiled.
ENV NODE_ENV=production GATEHOUSE_CONFIG=/etc/gatehouse/gateway.yaml NODE_COMPILE_CACHE=/opt/gatehouse/node_modules/.cache/gatehouse
WORKDIR /opt/gatehouse
# By number, so that `runAsNonRoot` can tell; the code belongs to root.
USER 1000:1000
VOLUME /data
# 8080: clients. 9901: operators; it stays on loopback unless the configuration gives it an address and a token.
EXPOSE 8080 9901
STOPSIGNAL SIGTERM
# /healthz answers without a token. Of another admin port only this line has to know.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9901/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Node takes SIGTERM itself, as process 1 too.
ENTRYPOINT ["node", "/opt/gatehouse/src/main.ts"]
CMD ["start"]
