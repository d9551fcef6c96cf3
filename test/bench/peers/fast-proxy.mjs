// fast-proxy on undici, its fastest mode. undici refuses fields that belong to one connection, so they are taken out.
import fastProxy from "fast-proxy";
import { inTurn, serve } from "./node-host.mjs";

function endToEnd(headers) {
  const { connection, "keep-alive": keepAlive, "transfer-encoding": coding, ...kept } = headers;
  return kept;
}

const next = inTurn((base) => fastProxy({ base, undici: { connections: 1024, pipelining: 1 } }));
const options = {
  rewriteHeaders: endToEnd,
  rewriteRequestHeaders: (req, headers) => {
    const kept = endToEnd(headers);
    kept["x-forwarded-for"] = req.socket.remoteAddress;
    return kept;
  },
};
serve((req, res) => next().proxy(req, res, req.url, options));
