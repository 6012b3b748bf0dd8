//go:build !race

package store

// raceDetector tells that the tests run under the race detector, some ten
// times slower.
const raceDetector = false
