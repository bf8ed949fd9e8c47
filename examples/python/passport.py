"""Verifies the passport of Gatehouse with nothing but the standard library.

Python's standard library has no ECDSA, so the verification over P-256 (FIPS 186-5 section 6.4.2) is written out here. That is safe
to do for a signature that is only verified: there is no secret in it that its timing could give away. It takes some milliseconds, and
a passport serves for half a minute of requests, so verified ones are remembered. Where you may install packages, take a JOSE library
and give it the algorithm, issuer and audience.
"""

import base64
import hashlib
import json
import threading
import time
import urllib.request

# The curve P-256 (SP 800-186 section 3.2.1.3): y^2 = x^3 - 3x + B over the integers modulo P.
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


class Refused(Exception):
    """The passport is not good. The text says why, for the log."""


class Unavailable(Exception):
    """The keys cannot be fetched, so nothing can be said of any passport."""


def verify_signature(point, message, signature):
    """Whether the owner of the public key signed the message: ECDSA with SHA-256, R || S of 64 bytes (RFC 7518 section 3.4)."""
    if len(signature) != 64:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if not (0 < r < N and 0 < s < N):
        return False
    digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
    w = pow(s, -1, N)
    sum_ = _add(_multiply(G, digest * w % N), _multiply(point, r * w % N))
    if sum_[2] == 0:
        return False
    x = sum_[0] * pow(sum_[2], -2, P) % P
    return x % N == r


# Points are in Jacobian coordinates: (X, Y, Z) is the point (X / Z^2, Y / Z^3), and Z = 0 is the one at infinity.


def _double(a):
    x, y, z = a
    if z == 0 or y == 0:
        return (1, 1, 0)
    yy = y * y % P
    s = 4 * x * yy % P
    m = 3 * (x - z * z) * (x + z * z) % P
    x3 = (m * m - 2 * s) % P
    return (x3, (m * (s - x3) - 8 * yy * yy) % P, 2 * y * z % P)


def _add(a, b):
    if a[2] == 0:
        return b
    if b[2] == 0:
        return a
    za, zb = a[2] * a[2] % P, b[2] * b[2] % P
    ua, ub = a[0] * zb % P, b[0] * za % P
    sa, sb = a[1] * zb * b[2] % P, b[1] * za * a[2] % P
    if ua == ub:
        return _double(a) if sa == sb else (1, 1, 0)
    h, r = (ub - ua) % P, (sb - sa) % P
    hh = h * h % P
    hhh, v = h * hh % P, ua * hh % P
    x3 = (r * r - hhh - 2 * v) % P
    return (x3, (r * (v - x3) - sa * hhh) % P, h * a[2] * b[2] % P)


def _multiply(point, factor):
    total, addend = (1, 1, 0), (point[0], point[1], 1)
    while factor:
        if factor & 1:
            total = _add(total, addend)
        addend = _double(addend)
        factor >>= 1
    return total


def _decode(text):
    """Strict base64url without padding (RFC 7515 section 2)."""
    if not isinstance(text, str) or not text.isascii():
        raise Refused("not base64url")
    raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != text:
        raise Refused("not base64url")
    return raw


def _object(raw):
    value = json.loads(raw)
    if not isinstance(value, dict):
        raise Refused("not an object")
    return value


def read_keys(jwks):
    """The usable keys of a JWK Set by their names. A point that is not on the curve is no key."""
    keys = {}
    for jwk in jwks.get("keys", []):
        if jwk.get("kty") != "EC" or jwk.get("crv") != "P-256" or jwk.get("alg") != "ES256" or "d" in jwk:
            continue
        x, y = _decode(jwk["x"]), _decode(jwk["y"])
        point = (int.from_bytes(x, "big"), int.from_bytes(y, "big"))
        on_curve = (point[1] ** 2 - (point[0] ** 3 - 3 * point[0] + B)) % P == 0
        if len(x) == len(y) == 32 and max(point) < P and on_curve and isinstance(jwk.get("kid"), str):
            keys[jwk["kid"]] = point
    return keys


class Passports:
    """Verifies passports of one gateway for one service. May be used by many threads."""

    REFRESH_SECONDS = 60
    BETWEEN_SECONDS = 5
    STALE_SECONDS = 24 * 3600
    SKEW_SECONDS = 5
    REMEMBERED = 1000
    LONGEST = 8192

    def __init__(self, origin, service, reach_at=None):
        self._issuer = origin
        self._service = service
        self._url = f"{reach_at or origin}/.well-known/gatehouse/jwks.json"
        self._lock = threading.Lock()
        self._keys = {}
        self._fetched = self._tried = float("-inf")
        self._verified = {}

    def verify(self, passport):
        """The claims. Raises Refused, or Unavailable."""
        claims = self._verified.get(passport)
        if claims is None:
            try:
                claims = self._judge(passport)
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise Refused("malformed") from error
            if len(self._verified) >= self.REMEMBERED:
                self._verified.clear()
            self._verified[passport] = claims
        if not claims["exp"] + self.SKEW_SECONDS > time.time():
            raise Refused("expired")
        return claims

    def _judge(self, passport):
        if len(passport) > self.LONGEST:
            raise Refused("too long")
        header_text, payload_text, signature_text = passport.split(".")
        header = _object(_decode(header_text))
        # The algorithm is ours to choose, and the key is one that was fetched: nothing of the header is followed.
        if header.get("alg") != "ES256" or "crit" in header:
            raise Refused("algorithm")
        key = self._key(header.get("kid"))
        if not verify_signature(key, f"{header_text}.{payload_text}".encode(), _decode(signature_text)):
            raise Refused("signature")
        claims = _object(_decode(payload_text))
        if claims.get("iss") != self._issuer or claims.get("aud") != self._service:
            raise Refused("for someone else")
        if not isinstance(claims.get("exp"), (int, float)) or isinstance(claims["exp"], bool):
            raise Refused("no end")
        for name in ("sub", "tenant_id"):
            if not isinstance(claims.get(name), str) or claims[name] == "":
                raise Refused(f"no {name}")
        return claims

    def _key(self, kid):
        with self._lock:
            now = time.monotonic()
            is_old = now - self._fetched > self.REFRESH_SECONDS or kid not in self._keys
            if is_old and now - self._tried > self.BETWEEN_SECONDS:
                self._tried = now
                self._fetch()
            if now - self._fetched > self.STALE_SECONDS:
                raise Unavailable("no keys")
            if kid not in self._keys:
                raise Refused("unknown key")
            return self._keys[kid]

    def _fetch(self):
        try:
            with urllib.request.urlopen(self._url, timeout=2) as answer:
                keys = read_keys(json.loads(answer.read(512 * 1024)))
            if keys:
                self._keys, self._fetched = keys, time.monotonic()
        except (OSError, ValueError, KeyError, TypeError, AttributeError, Refused):
            # The keys that are there serve on; without any it is Unavailable.
            pass
