// Package node is one running appliance: it joins the state machine, the
// cluster and the HTTP server, starts them in order and stops them in reverse.
// Tests start nodes as values, without flags.
package node
