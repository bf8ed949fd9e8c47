// Orders, as a service in Go behind the gateway: it believes the passport, and no other header. Nothing but the standard library.
//
//	go run examples/go/orders.go examples/go/passport.go
package main

import (
	"encoding/json"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	origin := setting("GATEWAY_ORIGIN", "http://localhost:8080")
	passports := NewPassports(origin, "orders-go", setting("GATEWAY_URL", origin))
	server := &http.Server{
		Addr:              net.JoinHostPort(setting("HOST", "127.0.0.1"), setting("PORT", "9005")),
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serve(w, r, passports) }),
		ReadHeaderTimeout: 10 * time.Second,
	}
	listener, err := net.Listen("tcp", server.Addr)
	if err != nil {
		log.Fatal(err)
	}
	log.SetOutput(os.Stderr)
	os.Stdout.WriteString("orders listens on " + setting("PORT", "9005") + "\n")
	log.Fatal(server.Serve(listener))
}

func serve(w http.ResponseWriter, r *http.Request, passports *Passports) {
	sent := r.Header.Values("X-Gatehouse-Identity")
	if len(sent) != 1 {
		answer(w, http.StatusUnauthorized, map[string]any{"error": "unauthorized"})
		return
	}
	identity, err := passports.Verify(sent[0])
	switch {
	case errors.Is(err, ErrUnavailable):
		answer(w, http.StatusServiceUnavailable, map[string]any{"error": "keys_unavailable"})
	case err != nil:
		log.Println("refused:", err)
		answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_token"})
	case !contains(strings.Split(identity.Scope, " "), "orders:read"):
		answer(w, http.StatusForbidden, map[string]any{"error": "insufficient_scope"})
	default:
		// A user is unique within its tenant only.
		of := map[string]any{"tenant": identity.Tenant, "user": identity.User}
		answer(w, http.StatusOK, map[string]any{"orders": []string{}, "of": of})
	}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("content-type", "application/json")
	w.WriteHeader(status)
	// Whoever asked may be gone: nobody is left to tell.
	_ = json.NewEncoder(w).Encode(body)
}

func contains(list []string, wanted string) bool {
	for _, one := range list {
		if one == wanted {
			return true
		}
	}
	return false
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
