package api

import (
	"net/http"
	"net/netip"
	"strings"
)

// Proxies says which peers may name the client in X-Forwarded-For. The zero
// value trusts nobody, so the socket address is the client.
type Proxies struct {
	// LastHop trusts whatever peer connects, for one proxy that appends to the
	// header: the last hop is the client.
	LastHop bool
	// Networks are those of trusted proxies: the right-most hop outside them
	// is the client.
	Networks []netip.Prefix
}

const headerForwarded = "X-Forwarded-For"

// Client returns the address of whoever sent the request, without zone and with
// IPv4 in its own form.
func (p *Proxies) Client(r *http.Request) string {
	peer := host(r.RemoteAddr)
	hops := r.Header[headerForwarded]
	if len(hops) == 0 || (!p.LastHop && len(p.Networks) == 0) {
		return peer
	}
	if p.LastHop {
		if address, ok := hop(lastHop(hops[len(hops)-1])); ok {
			return address.String()
		}
		return peer
	}
	return p.behind(peer, hops)
}

// behind walks the hops from the right as long as they are trusted.
func (p *Proxies) behind(peer string, hops []string) string {
	client := peer
	for i := len(hops) - 1; i >= 0 && p.trusts(client); i-- {
		for rest := hops[i]; rest != "" && p.trusts(client); {
			last := lastHop(rest)
			address, ok := hop(last)
			if !ok {
				return client
			}
			client = address.String()
			rest = strings.TrimSuffix(rest[:len(rest)-len(last)], ",")
		}
	}
	return client
}

func (p *Proxies) trusts(client string) bool {
	address, err := netip.ParseAddr(client)
	if err != nil {
		return false
	}
	for _, network := range p.Networks {
		if network.Contains(address) {
			return true
		}
	}
	return false
}

// lastHop is what follows the last comma.
func lastHop(hops string) string { return hops[strings.LastIndexByte(hops, ',')+1:] }

// hop reads an address with or without port.
func hop(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	address, err := netip.ParseAddr(text)
	if err != nil {
		withPort, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		address = withPort.Addr()
	}
	return address.Unmap().WithZone(""), true
}

// host cuts the port off a socket address. IPv4 needs no parsing.
func host(address string) string {
	colon := strings.LastIndexByte(address, ':')
	if colon > 0 && address[0] != '[' && strings.IndexByte(address[:colon], ':') < 0 {
		return address[:colon]
	}
	if parsed, ok := hop(address); ok {
		return parsed.String()
	}
	return address
}

// rateAddress is what rate limits count: an IPv4 address, or the /64 network of
// an IPv6 address, since one client may use all of that.
func rateAddress(ip string) string {
	if strings.IndexByte(ip, ':') < 0 {
		return ip
	}
	address, err := netip.ParseAddr(ip)
	if err != nil {
		return ip
	}
	network, err := address.WithZone("").Prefix(64)
	if err != nil {
		return ip
	}
	return network.String()
}
