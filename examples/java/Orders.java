import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.math.BigInteger;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.AlgorithmParameters;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.ECGenParameterSpec;
import java.security.spec.ECParameterSpec;
import java.security.spec.ECPoint;
import java.security.spec.ECPublicKeySpec;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;

/**
 * Orders, as a service in Java behind the gateway: it believes the passport, and no other header. Nothing but the JDK (17 or newer).
 *
 *     java examples/java/Orders.java
 */
public class Orders {
  public static void main(String[] args) throws Exception {
    String origin = setting("GATEWAY_ORIGIN", "http://localhost:8080");
    int port = Integer.parseInt(setting("PORT", "9003"));
    Passports passports = new Passports(origin, "orders-java", setting("GATEWAY_URL", origin));
    String host = setting("HOST", InetAddress.getLoopbackAddress().getHostAddress());
    HttpServer server = HttpServer.create(new InetSocketAddress(host, port), 0);
    server.setExecutor(Executors.newFixedThreadPool(8));
    server.createContext("/", exchange -> handle(exchange, passports));
    server.start();
    System.out.println("orders listens on " + port);
  }

  private static void handle(HttpExchange exchange, Passports passports) throws IOException {
    try (exchange) {
      List<String> sent = exchange.getRequestHeaders().getOrDefault("x-gatehouse-identity", List.of());
      if (sent.size() == 1) serve(exchange, passports, sent.get(0));
      else answer(exchange, 401, "{\"error\":\"unauthorized\"}");
    }
  }

  private static void serve(HttpExchange exchange, Passports passports, String passport) throws IOException {
    try {
      Map<?, ?> claims = passports.verify(passport);
      if (!List.of(String.valueOf(claims.get("scope")).split(" ")).contains("orders:read")) {
        answer(exchange, 403, "{\"error\":\"insufficient_scope\"}");
        return;
      }
      // A user is unique within its tenant only.
      String of = "{\"tenant\":" + Json.quote(claims.get("tenant_id")) + ",\"user\":" + Json.quote(claims.get("sub")) + "}";
      answer(exchange, 200, "{\"orders\":[],\"of\":" + of + "}");
    } catch (Unavailable unavailable) {
      answer(exchange, 503, "{\"error\":\"keys_unavailable\"}");
    } catch (Refused refused) {
      System.err.println("refused: " + refused.getMessage());
      answer(exchange, 401, "{\"error\":\"invalid_token\"}");
    }
  }

  private static void answer(HttpExchange exchange, int status, String body) throws IOException {
    byte[] octets = body.getBytes(StandardCharsets.UTF_8);
    exchange.getResponseHeaders().set("content-type", "application/json");
    exchange.sendResponseHeaders(status, octets.length);
    exchange.getResponseBody().write(octets);
  }

  private static String setting(String name, String otherwise) {
    String value = System.getenv(name);
    return value == null || value.isEmpty() ? otherwise : value;
  }
}

/** The passport is not good; the message says why, for the log. */
class Refused extends RuntimeException {
  Refused(String why) {
    super(why);
  }
}

/** The keys cannot be fetched, so nothing can be said of any passport. */
class Unavailable extends RuntimeException {}

/** Verifies passports of one gateway for one service. */
class Passports {
  private static final long REFRESH_MS = 60_000;
  private static final long BETWEEN_MS = 5_000;
  private static final long STALE_MS = 24 * 3_600_000L;
  private static final long SKEW_SECONDS = 5;
  private static final int LONGEST = 8192;
  private static final long NEVER = Long.MIN_VALUE / 4;

  private final String issuer;
  private final String service;
  private final HttpRequest request;
  private final HttpClient client = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(2)).build();
  private Map<String, PublicKey> keys = Map.of();
  private long fetchedMs = NEVER;
  private long triedMs = NEVER;

  Passports(String origin, String service, String reachAt) {
    this.issuer = origin;
    this.service = service;
    URI uri = URI.create(reachAt + "/.well-known/gatehouse/jwks.json");
    this.request = HttpRequest.newBuilder(uri).timeout(Duration.ofSeconds(2)).build();
  }

  Map<?, ?> verify(String passport) {
    try {
      if (passport.length() > LONGEST) throw new Refused("too long");
      String[] parts = passport.split("\\.", -1);
      if (parts.length != 3) throw new Refused("malformed");
      Map<?, ?> header = Json.object(decode(parts[0]));
      // The algorithm is ours to choose, and the key is one that was fetched: nothing of the header is followed.
      if (!"ES256".equals(header.get("alg")) || header.containsKey("crit")) throw new Refused("algorithm");
      Signature signature = Signature.getInstance("SHA256withECDSAinP1363Format");
      signature.initVerify(key(header.get("kid")));
      signature.update((parts[0] + "." + parts[1]).getBytes(StandardCharsets.US_ASCII));
      byte[] octets = decode(parts[2]);
      if (octets.length != 64 || !signature.verify(octets)) throw new Refused("signature");
      return judged(Json.object(decode(parts[1])));
    } catch (GeneralSecurityException | IllegalArgumentException problem) {
      throw new Refused("malformed");
    }
  }

  private Map<?, ?> judged(Map<?, ?> claims) {
    if (!issuer.equals(claims.get("iss")) || !service.equals(claims.get("aud"))) throw new Refused("for someone else");
    if (!(claims.get("exp") instanceof Double exp)) throw new Refused("no end");
    if (!(exp + SKEW_SECONDS > System.currentTimeMillis() / 1000.0)) throw new Refused("expired");
    for (String name : List.of("sub", "tenant_id")) {
      if (!(claims.get(name) instanceof String text) || text.isEmpty()) throw new Refused("no " + name);
    }
    return claims;
  }

  private synchronized PublicKey key(Object kid) {
    long nowMs = System.nanoTime() / 1_000_000;
    boolean isOld = nowMs - fetchedMs > REFRESH_MS || !keys.containsKey(String.valueOf(kid));
    if (isOld && nowMs - triedMs > BETWEEN_MS) {
      triedMs = nowMs;
      fetch(nowMs);
    }
    if (nowMs - fetchedMs > STALE_MS) throw new Unavailable();
    PublicKey key = keys.get(String.valueOf(kid));
    if (key == null) throw new Refused("unknown key");
    return key;
  }

  private void fetch(long nowMs) {
    try {
      HttpResponse<byte[]> answer = client.send(request, HttpResponse.BodyHandlers.ofByteArray());
      Map<String, PublicKey> fetched = new HashMap<>();
      if (answer.statusCode() != 200 || !(Json.object(answer.body()).get("keys") instanceof List<?> list)) return;
      for (Object jwk : list) if (jwk instanceof Map<?, ?> members) add(fetched, members);
      if (fetched.isEmpty()) return;
      keys = Map.copyOf(fetched);
      fetchedMs = nowMs;
    } catch (IOException | IllegalArgumentException | GeneralSecurityException problem) {
      // The keys that are there serve on; without any it is Unavailable.
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private static void add(Map<String, PublicKey> fetched, Map<?, ?> jwk) throws GeneralSecurityException {
    if (!"EC".equals(jwk.get("kty")) || !"P-256".equals(jwk.get("crv")) || !"ES256".equals(jwk.get("alg"))) return;
    if (jwk.containsKey("d") || !(jwk.get("kid") instanceof String kid)) return;
    AlgorithmParameters parameters = AlgorithmParameters.getInstance("EC");
    parameters.init(new ECGenParameterSpec("secp256r1"));
    ECParameterSpec curve = parameters.getParameterSpec(ECParameterSpec.class);
    ECPoint point = new ECPoint(coordinate(jwk.get("x")), coordinate(jwk.get("y")));
    fetched.put(kid, KeyFactory.getInstance("EC").generatePublic(new ECPublicKeySpec(point, curve)));
  }

  private static BigInteger coordinate(Object text) {
    byte[] octets = decode(String.valueOf(text));
    if (octets.length != 32) throw new IllegalArgumentException("coordinate");
    return new BigInteger(1, octets);
  }

  /** Strict base64url without padding (RFC 7515 section 2). */
  private static byte[] decode(String text) {
    byte[] octets = Base64.getUrlDecoder().decode(text);
    if (!Base64.getUrlEncoder().withoutPadding().encodeToString(octets).equals(text)) throw new IllegalArgumentException("base64url");
    return octets;
  }
}

/** As much of JSON as tokens and key sets take; the JDK has none. A name that stands twice is refused. */
class Json {
  private static final int DEEPEST = 20;
  private final String text;
  private int at;
  private int depth;

  private Json(String text) {
    this.text = text;
  }

  static Map<?, ?> object(byte[] octets) {
    Json json = new Json(new String(octets, StandardCharsets.UTF_8));
    Object value = json.value();
    json.space();
    if (json.at != json.text.length() || !(value instanceof Map<?, ?> map)) throw new IllegalArgumentException("JSON");
    return map;
  }

  static String quote(Object value) {
    StringBuilder out = new StringBuilder("\"");
    for (char c : String.valueOf(value).toCharArray()) {
      if (c < 0x20 || c == '"' || c == '\\') out.append(String.format("\\u%04x", (int) c));
      else out.append(c);
    }
    return out.append('"').toString();
  }

  private Object value() {
    space();
    if (++depth > DEEPEST) throw new IllegalArgumentException("JSON");
    Object value =
        switch (peek()) {
          case '{' -> members();
          case '[' -> list();
          case '"' -> string();
          case 't' -> word("true", true);
          case 'f' -> word("false", false);
          case 'n' -> word("null", null);
          default -> number();
        };
    depth--;
    return value;
  }

  private Map<String, Object> members() {
    Map<String, Object> map = new HashMap<>();
    take('{');
    space();
    if (skip('}')) return map;
    do {
      space();
      String name = string();
      space();
      take(':');
      if (map.containsKey(name)) throw new IllegalArgumentException("JSON");
      map.put(name, value());
      space();
    } while (skip(','));
    take('}');
    return map;
  }

  private List<Object> list() {
    List<Object> list = new ArrayList<>();
    take('[');
    space();
    if (skip(']')) return list;
    do {
      list.add(value());
      space();
    } while (skip(','));
    take(']');
    return list;
  }

  private String string() {
    StringBuilder out = new StringBuilder();
    take('"');
    while (peek() != '"') {
      char c = text.charAt(at++);
      if (c < 0x20) throw new IllegalArgumentException("JSON");
      out.append(c == '\\' ? escaped() : c);
    }
    at++;
    return out.toString();
  }

  private char escaped() {
    char c = peek();
    at++;
    if (c == 'u') {
      if (at + 4 > text.length()) throw new IllegalArgumentException("JSON");
      at += 4;
      return (char) Integer.parseInt(text.substring(at - 4, at), 16);
    }
    int index = "\"\\/bfnrt".indexOf(c);
    if (index < 0) throw new IllegalArgumentException("JSON");
    return "\"\\/\b\f\n\r\t".charAt(index);
  }

  private Object number() {
    int from = at;
    while (at < text.length() && "+-.eE0123456789".indexOf(text.charAt(at)) >= 0) at++;
    return Double.valueOf(text.substring(from, at));
  }

  private Object word(String word, Object value) {
    if (!text.startsWith(word, at)) throw new IllegalArgumentException("JSON");
    at += word.length();
    return value;
  }

  private char peek() {
    if (at >= text.length()) throw new IllegalArgumentException("JSON");
    return text.charAt(at);
  }

  private void take(char c) {
    if (!skip(c)) throw new IllegalArgumentException("JSON");
  }

  private boolean skip(char c) {
    if (at >= text.length() || text.charAt(at) != c) return false;
    at++;
    return true;
  }

  private void space() {
    while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) at++;
  }
}
