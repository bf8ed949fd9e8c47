package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	refreshAfter = time.Minute
	// Passports of unknown keys cause no more than one fetch in this time.
	betweenFetches = 5 * time.Second
	staleAfter     = 24 * time.Hour
	clockSkew      = 5
	longest        = 8192
	longestKeys    = 1 << 20
)

// ErrUnavailable says that the keys cannot be fetched, so nothing can be said of any passport.
var ErrUnavailable = errors.New("no keys")

// Identity is who sends a request, as the gateway vouches for it.
type Identity struct {
	User   string
	Tenant string
	Scope  string
}

// Passports verifies the passports of one gateway for one service.
type Passports struct {
	issuer, service, keysAt string
	client                  *http.Client

	mutex     sync.Mutex
	keys      map[string]*ecdsa.PublicKey
	fetchedAt time.Time
	triedAt   time.Time
}

// NewPassports takes the public origin of the gateway, the name of this service in `upstreams`, and where the gateway is reached.
func NewPassports(origin, service, reachAt string) *Passports {
	return &Passports{
		issuer:  origin,
		service: service,
		keysAt:  reachAt + "/.well-known/gatehouse/jwks.json",
		client: &http.Client{
			Timeout: 2 * time.Second,
			// Keys come from the gateway, and from nowhere that it could point to.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Verify says who sent the passport. The error is ErrUnavailable, or says why the passport is no good, for the log.
func (p *Passports) Verify(passport string) (*Identity, error) {
	if len(passport) > longest {
		return nil, errors.New("too long")
	}
	parts := strings.Split(passport, ".")
	if len(parts) != 3 {
		return nil, errors.New("malformed")
	}
	header, err := membersOf(parts[0])
	if err != nil {
		return nil, err
	}
	// The algorithm is ours to choose, and the key is one that was fetched: nothing of the header is followed.
	if _, extended := header["crit"]; extended || textOf(header["alg"]) != "ES256" {
		return nil, errors.New("algorithm")
	}
	key, err := p.key(textOf(header["kid"]))
	if err != nil {
		return nil, err
	}
	signature, err := decode(parts[2])
	if err != nil || len(signature) != 64 {
		return nil, errors.New("signature")
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	if !ecdsa.Verify(key, digest[:], r, s) {
		return nil, errors.New("signature")
	}
	return p.judge(parts[1])
}

func (p *Passports) judge(segment string) (*Identity, error) {
	claims, err := membersOf(segment)
	if err != nil {
		return nil, err
	}
	if textOf(claims["iss"]) != p.issuer || textOf(claims["aud"]) != p.service {
		return nil, errors.New("for someone else")
	}
	var end float64
	if claims["exp"] == nil || json.Unmarshal(claims["exp"], &end) != nil {
		return nil, errors.New("no end")
	}
	if end+clockSkew <= float64(time.Now().Unix()) {
		return nil, errors.New("expired")
	}
	identity := Identity{textOf(claims["sub"]), textOf(claims["tenant_id"]), textOf(claims["scope"])}
	if identity.User == "" || identity.Tenant == "" {
		return nil, errors.New("nobody")
	}
	return &identity, nil
}

func (p *Passports) key(id string) (*ecdsa.PublicKey, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	// Clocks of Go run on when the time of day is set.
	now := time.Now()
	isOld := p.keys[id] == nil || now.Sub(p.fetchedAt) > refreshAfter
	if isOld && (p.triedAt.IsZero() || now.Sub(p.triedAt) > betweenFetches) {
		p.triedAt = now
		if keys, err := p.fetch(); err == nil {
			p.keys, p.fetchedAt = keys, now
		}
		// Otherwise the keys that are there serve on; without any it is ErrUnavailable.
	}
	if p.fetchedAt.IsZero() || now.Sub(p.fetchedAt) > staleAfter {
		return nil, ErrUnavailable
	}
	if key := p.keys[id]; key != nil {
		return key, nil
	}
	return nil, errors.New("unknown key")
}

type jwk struct {
	Kty, Crv, Alg, Kid, X, Y string
	D                        json.RawMessage
}

func (p *Passports) fetch() (map[string]*ecdsa.PublicKey, error) {
	response, err := p.client.Get(p.keysAt)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the gateway answered with %d", response.StatusCode)
	}
	var set struct{ Keys []jwk }
	if err := json.NewDecoder(io.LimitReader(response.Body, longestKeys)).Decode(&set); err != nil {
		return nil, err
	}
	keys := map[string]*ecdsa.PublicKey{}
	for _, one := range set.Keys {
		if one.Kty != "EC" || one.Crv != "P-256" || one.Alg != "ES256" || one.Kid == "" || one.D != nil {
			continue
		}
		x, errX := decode(one.X)
		y, errY := decode(one.Y)
		if errX != nil || errY != nil || len(x) != 32 || len(y) != 32 {
			continue
		}
		key := &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(x), Y: new(big.Int).SetBytes(y)}
		if key.Curve.IsOnCurve(key.X, key.Y) {
			keys[one.Kid] = key
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("the gateway has no keys")
	}
	return keys, nil
}

// membersOf reads an object. It does so into a map: names of a struct would also be found in other capitals.
func membersOf(segment string) (map[string]json.RawMessage, error) {
	octets, err := decode(segment)
	if err != nil {
		return nil, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(octets, &members); err != nil {
		return nil, errors.New("malformed")
	}
	return members, nil
}

// textOf is empty for what is no text.
func textOf(value json.RawMessage) string {
	var text string
	if value == nil || json.Unmarshal(value, &text) != nil {
		return ""
	}
	return text
}

// decode takes base64url without padding, in its one spelling (RFC 7515 section 2).
func decode(text string) ([]byte, error) {
	octets, err := base64.RawURLEncoding.Strict().DecodeString(text)
	// The decoder of Go passes over line breaks.
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("malformed")
	}
	return octets, nil
}
