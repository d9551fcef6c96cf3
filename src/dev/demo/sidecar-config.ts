/** What the demo's configuration depends on. Port 0 lets the system choose. */
export interface SidecarPlaces {
  readonly catalogUrl: string;
  readonly service: string;
  readonly frontPort: number;
  readonly grpcPort: number;
  readonly httpPort: number;
}

/** First ejection, short enough to be watched to its end. */
export const EJECTION_MS = 4_000;

/** The configuration of the sidecar, as a person would write it. */
export function sidecarConfig({ catalogUrl, service, frontPort, grpcPort, httpPort }: SidecarPlaces): string {
  return `# Written by "pilotfish demo"; it goes when the demo ends. Port 0: the usual one was taken, any free one is used.
version: 1
consul: { address: "${catalogUrl}" }
admin:
  grpc: 127.0.0.1:${grpcPort}
  http: 127.0.0.1:${httpPort}
# Access lines are on by default; here they would fill the disk of whoever lets the demo run.
log: { access: { format: off } }
shutdown: { grace: 200ms, deadline: 5s }
listeners:
  - name: front
    bind: 127.0.0.1:${frontPort}
    pool: ${service}
pools:
  - name: ${service}
    discovery: { type: consul, service: ${service} }
    balance: leastconn
    # Short times, so that an ejected backend is seen to return.
    outlierDetection: { consecutive5xx: 5, interval: 2s, baseEjectionTime: ${EJECTION_MS / 1_000}s }
    drainDeadline: 10s
`;
}
