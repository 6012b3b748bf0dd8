// Package rig starts clusters of real programs on loopback, puts a relay on
// every directed link between them, breaks them, and judges what clients saw.
// It is for tests: what it cannot do fails the test.
package rig
