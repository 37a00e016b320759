# syntax=docker/dockerfile:1
# One image with both programs: `portent`, and `portent-demo-service` for those who have nothing to watch yet.
#
#   docker build -t portent:0.1.0 .
#   docker run --read-only -p 127.0.0.1:9098:9098 -v ./portent.toml:/etc/portent/portent.toml:ro -v portent:/var/lib/portent portent:0.1.0

# ---- Dependencies: built anew only when a manifest, the lock file or a benchmark's name changes ----
FROM rust:1.95.0-bookworm AS dependencies
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY demo-service/Cargo.toml demo-service/Cargo.toml
# The manifest names them, and Cargo wants each target's file to be there.
COPY benches benches
# Empty crates in place of ours, so that the layer holds what they depend on and nothing of them.
RUN mkdir -p src demo-service/src \
    && for crate in src demo-service/src; do \
        echo '//! Empty.' > $crate/lib.rs && { echo '//! Empty.'; echo 'fn main() {}'; } > $crate/main.rs || exit 1; \
    done \
    && cargo build --locked --profile dist --workspace --bins

# ---- Our own crates ----
FROM dependencies AS builder
COPY config config
COPY templates templates
COPY demo-service/src demo-service/src
COPY src src
# A copied file keeps its date, which lies before the build of the empty crates: Cargo would take those for fresh.
RUN find src demo-service/src -name '*.rs' -exec touch {} + \
    && cargo build --locked --profile dist --workspace --bins \
    && mkdir -p /image/usr/local/bin /image/var/lib/portent \
    && cp target/dist/portent target/dist/portent-demo-service /image/usr/local/bin/

# ---- What runs: glibc, CA certificates, time zones, no shell; the user is 65532 ----
FROM gcr.io/distroless/cc-debian12:nonroot@sha256:9dac0a79194e45a7da0158a9c6da57b217585af0786db3845d1f0ec1a0dd182f
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Portent" \
      org.opencontainers.image.description="Anomaly detection and explained incidents beside your Prometheus" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.base.name="gcr.io/distroless/cc-debian12:nonroot"
COPY --from=builder /image/usr/local/bin/ /usr/local/bin/
# A new volume takes the owner of the folder that it covers.
COPY --from=builder --chown=65532:65532 /image/var/lib/portent /var/lib/portent
COPY LICENSE LICENSE-APACHE LICENSE-MIT /usr/share/doc/portent/
USER 65532:65532
# The store's default path is relative, so that it lies on the volume.
WORKDIR /var/lib/portent
VOLUME ["/var/lib/portent"]
EXPOSE 9098
# Whether it lives; whether it is ready is another question, and no reason to restart it.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["/usr/local/bin/portent", "check", "healthy", "--url=http://127.0.0.1:9098"]
ENTRYPOINT ["/usr/local/bin/portent"]
CMD ["run", "--config.file=/etc/portent/portent.toml"]
