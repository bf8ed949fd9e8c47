"""Orders, as a service in Python behind the gateway: it believes the passport, and no other header.

    python3 examples/python/orders.py
"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from passport import Passports, Refused, Unavailable

ORIGIN = os.environ.get("GATEWAY_ORIGIN", "http://localhost:8080")
PORT = int(os.environ.get("PORT", "9002"))
passports = Passports(ORIGIN, "orders-python", os.environ.get("GATEWAY_URL"))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self):
        sent = self.headers.get_all("x-gatehouse-identity", [])
        if len(sent) != 1:
            return self.answer(401, {"error": "unauthorized"})
        try:
            claims = passports.verify(sent[0])
        except Refused as refusal:
            self.log_error("refused: %s", refusal)
            return self.answer(401, {"error": "invalid_token"})
        except Unavailable:
            return self.answer(503, {"error": "keys_unavailable"})
        if "orders:read" not in claims.get("scope", "").split(" "):
            return self.answer(403, {"error": "insufficient_scope"})
        # A user is unique within its tenant only.
        self.answer(200, {"orders": [], "of": {"tenant": claims["tenant_id"], "user": claims["sub"]}})

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


if __name__ == "__main__":
    server = ThreadingHTTPServer((os.environ.get("HOST", "127.0.0.1"), PORT), Handler)
    print(f"orders listens on {PORT}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()
