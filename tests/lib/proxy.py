"""A real Consul seen through a proxy that misbehaves on demand: what Consul, a balancer or a network may do to a client."""

import http.client
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODES = ("pass", "error", "garbage", "wrong type", "truncated", "endless", "reset", "hang", "no index", "cut", "tiny elements")
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class Proxy:
    """mode decides what happens to each reply; changing it cuts every connection, so that it is felt at once."""

    def __init__(self, consul, delay=None, reply=None):
        """delay: called with each path once Consul has answered; gives the seconds by which the reply comes late.

        reply: called with each path before Consul is asked; gives (status, body) in its place, or None."""
        self.consul = consul
        self.delay = delay
        self.reply = reply
        self.served = 0  # replies spoiled in the present mode
        self._mode = "pass"
        self._open = set()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                proxy._open.add(self.connection)

            def finish(self):
                proxy._open.discard(self.connection)
                try:
                    super().finish()
                except OSError:
                    pass

            def log_message(self, *_):
                pass

            def forward(self):
                try:
                    proxy._serve(self)
                except OSError:
                    self.close_connection = True

            do_GET = do_PUT = do_DELETE = do_POST = forward

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def mode(self):
        return self._mode

    @mode.setter
    def mode(self, mode):
        assert mode in MODES
        self._mode = mode
        self.served = 0
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.mode = "reset"
        self._server.shutdown()
        self._server.server_close()

    def _ask(self, handler):
        """The reply of the real Consul: (status, headers, body)."""
        length = int(handler.headers.get("Content-Length") or 0)
        body = handler.rfile.read(length) if length else None
        upstream = http.client.HTTPConnection("127.0.0.1", self.consul.ports["http"], timeout=700)
        try:
            headers = {key: value for key, value in handler.headers.items() if key.lower() not in HOP_BY_HOP | {"accept-encoding", "host"}}
            upstream.request(handler.command, handler.path, body, headers)
            reply = upstream.getresponse()
            return reply.status, [(k, v) for k, v in reply.getheaders() if k.lower() not in HOP_BY_HOP], reply.read()
        finally:
            upstream.close()

    def _serve(self, handler):
        if self._mode == "cut":  # the only one by which Consul does not see the request
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        instead = self.reply and self.reply(handler.path)
        if instead:
            handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        status, headers, body = (instead[0], [], instead[1]) if instead else self._ask(handler)
        if self.delay:
            time.sleep(self.delay(handler.path))
        mode = self._mode  # as it is when the reply leaves: blocking queries wait long
        if mode == "error":
            status, headers, body = 500, [("X-Consul-Index", "1"), ("X-Consul-Knownleader", "false")], b"No cluster leader"
        elif mode == "garbage":
            body = b'[{"Node": {"Node": "\xff\xfe", ' + b"\0" * 100
        elif mode == "wrong type":
            body = b'{"surprise": [1, 2, {"Service": null, "Checks": "none"}]}'
        elif mode == "tiny elements":
            body = b"[" + b"{}," * 4_000_000 + b"{}]"  # a gigabyte, once it is read
        elif mode == "no index":
            headers = [(key, value) for key, value in headers if key.lower() != "x-consul-index"]
        if mode != "pass":
            self.served += 1
        if mode == "reset":
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        if mode == "hang":
            threading.Event().wait(600)
            return
        handler.send_response(status)
        for key, value in headers:
            handler.send_header(key, value)
        if mode == "endless":
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            chunk = b"10000\r\n" + b"[" + b" " * 0xffff + b"\r\n"
            while self._mode == "endless":
                handler.wfile.write(chunk)
            return
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if mode == "truncated":
            handler.wfile.write(body[:len(body) // 2])
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        handler.wfile.write(body)
