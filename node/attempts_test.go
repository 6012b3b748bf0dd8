package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func addressOf(host string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(host), Port: 1234} }

func TestASourceFailsOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttempts()
		began := time.Now()
		for i := range 5 {
			done, err := a.begin(t.Context(), addressOf("192.0.2.1"))
			if err != nil {
				t.Fatal(err)
			}
			done(true)
			if took := time.Since(began); took != time.Duration(i)*attemptPause {
				t.Errorf("attempt %d was looked at after %v", i, took)
			}
		}
		done, err := a.begin(t.Context(), addressOf("192.0.2.2"))
		if err != nil || time.Since(began) != 4*attemptPause {
			t.Errorf("another source waited until %v: %v", time.Since(began), err)
		}
		done(false)
		if _, err = a.begin(t.Context(), addressOf("192.0.2.2")); err != nil || time.Since(began) != 4*attemptPause {
			t.Errorf("behind a good attempt the next one waited until %v: %v", time.Since(began), err)
		}
	})
}

func TestOneAttemptOfASourceWaitsAndTheNextIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttempts()
		first, err := a.begin(t.Context(), addressOf("2001:db8::1"))
		if err != nil {
			t.Fatal(err)
		}
		waiting := make(chan error, 1)
		go func() {
			done, err := a.begin(t.Context(), addressOf("2001:db8::2")) // the same network
			if err == nil {
				done(false)
			}
			waiting <- err
		}()
		synctest.Wait()
		if _, err := a.begin(t.Context(), addressOf("2001:db8::3")); !errors.Is(err, errTooManyAttempts) {
			t.Errorf("the third attempt: %v", err)
		}
		first(false)
		if err := <-waiting; err != nil {
			t.Errorf("the second attempt: %v", err)
		}
	})
}

func TestAnAttemptThatIsGivenUpLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttempts()
		done, err := a.begin(t.Context(), addressOf("192.0.2.1"))
		if err != nil {
			t.Fatal(err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for range 3 { // as many as would fill the queue
			if _, err := a.begin(ended, addressOf("192.0.2.1")); !errors.Is(err, context.Canceled) {
				t.Errorf("a wait that was given up: %v", err)
			}
		}
		done(true)
		for range 3 {
			if _, err := a.begin(ended, addressOf("192.0.2.1")); !errors.Is(err, context.Canceled) {
				t.Errorf("a pause that was given up: %v", err)
			}
		}
		if _, err := a.begin(t.Context(), addressOf("192.0.2.1")); err != nil {
			t.Error(err)
		}
	})
}

func TestSourcesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttempts()
		for i := range mostSources {
			done, err := a.begin(t.Context(), addressOf(fmt.Sprintf("10.0.%d.%d", i/256, i%256)))
			if err != nil {
				t.Fatal(err)
			}
			done(true)
		}
		if _, err := a.begin(t.Context(), addressOf("192.0.2.1")); !errors.Is(err, errManySources) {
			t.Errorf("one more source: %v", err)
		}
		time.Sleep(attemptPause)
		if _, err := a.begin(t.Context(), addressOf("192.0.2.1")); err != nil || len(a.sources) != 1 {
			t.Errorf("a second later: %v, %d sources are known", err, len(a.sources))
		}
	})
}
