package api

import (
	"log/slog"
	"net/http"
	"time"
)

// Limits of a connection. Slow clients are cut, idle ones closed.
const (
	ReadHeaderTimeout = 5 * time.Second
	ReadTimeout       = 30 * time.Second // header and body
	WriteTimeout      = 60 * time.Second // streams set their own
	IdleTimeout       = 60 * time.Second
	MaxHeaderBytes    = 32 << 10 // request line and headers, else 431
	MaxStreams        = 100      // of one HTTP/2 connection
)

// headerSlack is what net/http reads beyond Server.MaxHeaderBytes.
const headerSlack = 4 << 10

// NewHTTPServer makes a server with these limits. Errors of connections go to
// the logger at level warn.
func NewHTTPServer(handler http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:                      handler,
		ReadHeaderTimeout:            ReadHeaderTimeout,
		ReadTimeout:                  ReadTimeout,
		WriteTimeout:                 WriteTimeout,
		IdleTimeout:                  IdleTimeout,
		MaxHeaderBytes:               MaxHeaderBytes - headerSlack,
		DisableGeneralOptionsHandler: true,
		HTTP2:                        &http.HTTP2Config{MaxConcurrentStreams: MaxStreams},
		ErrorLog:                     slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}
