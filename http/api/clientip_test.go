package api

import (
	"net/http"
	"net/netip"
	"testing"
)

func request(remote string, forwarded ...string) *http.Request {
	r := &http.Request{RemoteAddr: remote, Header: http.Header{}}
	for _, value := range forwarded {
		r.Header.Add(headerForwarded, value)
	}
	return r
}

func TestClient(t *testing.T) {
	inside := Proxies{Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}
	last := Proxies{LastHop: true}
	for _, c := range []struct {
		name      string
		proxies   Proxies
		remote    string
		forwarded []string
		want      string
	}{
		{"socket", Proxies{}, "203.0.113.7:1234", nil, "203.0.113.7"},
		{"socket of IPv6", Proxies{}, "[2001:db8::1]:1234", nil, "2001:db8::1"},
		{"socket with zone", Proxies{}, "[fe80::1%eth0]:1234", nil, "fe80::1"},
		{"socket of mapped IPv4", Proxies{}, "[::ffff:203.0.113.7]:1234", nil, "203.0.113.7"},
		{"unix socket", Proxies{}, "@", nil, "@"},
		{"header of nobody", Proxies{}, "203.0.113.7:1", []string{"1.2.3.4"}, "203.0.113.7"},
		{"last hop", last, "10.0.0.1:1", []string{"6.6.6.6, 1.2.3.4"}, "1.2.3.4"},
		{"last hop of several headers", last, "10.0.0.1:1", []string{"6.6.6.6", "7.7.7.7, 1.2.3.4"}, "1.2.3.4"},
		{"last hop with port", last, "10.0.0.1:1", []string{"1.2.3.4:5678"}, "1.2.3.4"},
		{"last hop of IPv6", last, "10.0.0.1:1", []string{"[2001:db8::2]:5678"}, "2001:db8::2"},
		{"last hop is no address", last, "10.0.0.1:1", []string{"1.2.3.4, unknown"}, "10.0.0.1"},
		{"last hop is empty", last, "10.0.0.1:1", []string{""}, "10.0.0.1"},
		{"no header", last, "10.0.0.1:1", nil, "10.0.0.1"},
		{"peer outside", inside, "203.0.113.7:1", []string{"1.2.3.4"}, "203.0.113.7"},
		{"one proxy", inside, "10.0.0.1:1", []string{"6.6.6.6, 1.2.3.4"}, "1.2.3.4"},
		{"two proxies", inside, "10.0.0.1:1", []string{"6.6.6.6, 1.2.3.4, 10.0.0.2"}, "1.2.3.4"},
		{"two proxies, two headers", inside, "10.0.0.1:1", []string{"6.6.6.6, 1.2.3.4", "10.0.0.2"}, "1.2.3.4"},
		{"all inside", inside, "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"garbage behind a proxy", inside, "10.0.0.1:1", []string{"1.2.3.4, junk"}, "10.0.0.1"},
		{"IPv6 proxy", inside, "[fd00::1]:1", []string{"2001:db8::9"}, "2001:db8::9"},
	} {
		if got := c.proxies.Client(request(c.remote, c.forwarded...)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestRateAddress(t *testing.T) {
	for ip, want := range map[string]string{
		"203.0.113.7": "203.0.113.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "2001:db8:1:2::1": "2001:db8:1:2::/64",
		"2001:db8:1:3::1": "2001:db8:1:3::/64", "@": "@", "a:b": "a:b",
	} {
		if got := rateAddress(ip); got != want {
			t.Errorf("%s counts as %s, want %s", ip, got, want)
		}
	}
}
