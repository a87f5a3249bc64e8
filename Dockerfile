# The image: Debian with the two libraries and the firewall's tool that btblocker needs, and the
# program. Build: docker build -t btblocker .   Run: compose.yml, docs/docker.md
FROM denoland/deno:debian-2.9.6 AS build
WORKDIR /src
COPY deno.json deno.lock main.ts mod.ts ./
COPY bpf bpf
COPY ffi ffi
COPY scripts scripts
COPY src src
ARG COMMIT=unknown
ARG SOURCE_DATE_EPOCH=0
# Unpacked here, so that the image starts without writing anything.
RUN BTBLOCKER_COMMIT="$COMMIT" deno task portable --level 1 --output /tmp/btblocker \
 && /tmp/btblocker --unpack /usr/lib/btblocker

FROM debian:bookworm-slim AS base
# Versions are those of the Debian release, which only changes them for security.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends iptables libbpf1 libnetfilter-queue1 \
 && rm -rf /var/lib/apt/lists/*
RUN install -d -m 0700 /run/btblocker /var/lib/btblocker \
 && install -d -m 0750 /var/log/btblocker \
 && ln -s /usr/lib/btblocker/btblocker /usr/bin/btblocker
COPY --from=build /usr/lib/btblocker /usr/lib/btblocker
ENV XTABLES_LOCKFILE=/run/btblocker/xtables.lock
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["btblocker", "status"]
ENTRYPOINT ["btblocker"]
CMD ["run"]

# docker build --target nonroot: as a user of its own. Docker gives added capabilities to root only, so
# here the files carry them, and the kernel refuses to start the program without all four, be it for
# `analyze`. That is why it is not the default.
FROM base AS nonroot
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libcap2-bin \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --system --gid 999 btblocker \
 && useradd --system --uid 999 --gid 999 --no-create-home --shell /usr/sbin/nologin btblocker \
 && chown -R btblocker:btblocker /run/btblocker /var/log/btblocker /var/lib/btblocker \
 && setcap cap_net_admin,cap_net_raw,cap_bpf,cap_perfmon+ep /usr/lib/btblocker/deno \
 && setcap cap_net_admin,cap_net_raw+ep /usr/sbin/xtables-nft-multi \
 && setcap cap_net_admin,cap_net_raw+ep /usr/sbin/xtables-legacy-multi \
 && apt-get purge --yes --auto-remove libcap2-bin
USER btblocker

# Root of the container, which has the four capabilities of compose.yml and no other.
FROM base
