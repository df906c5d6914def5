package main

import (
	"errors"
	"log/slog"
	"os"

	"github.com/rs/zerolog"
	"github.com/sirupsen/logrus"
	"go.uber.org/zap"
)

const refused = "dial tcp 10.0.0.7:8443: connect: connection refused"

var locked = errors.New("database is locked")

func main() {
	switch os.Args[1] {
	case "slog":
		log := slog.New(slog.NewJSONHandler(os.Stdout, nil)).With("service", "orders")
		log.Info("order 17 stored", "ms", 12)
		log.Warn("order 18 is late")
		log.Error(refused)
		log.Error("order 19 not stored", "err", locked)
	case "slogtext":
		log := slog.New(slog.NewTextHandler(os.Stdout, nil)).With("service", "orders")
		log.Info("order 17 stored", "ms", 12)
		log.Warn("order 18 is late")
		log.Error(refused)
	case "zap":
		log, _ := zap.NewProduction()
		log = log.Named("orders")
		log.Info("order 17 stored", zap.Int("ms", 12))
		log.Warn("order 18 is late")
		log.Error(refused)
		log.Error("order 19 not stored", zap.Error(locked))
	case "zerolog":
		log := zerolog.New(os.Stdout).With().Timestamp().Str("service", "orders").Logger()
		log.Info().Int("ms", 12).Msg("order 17 stored")
		log.Warn().Msg("order 18 is late")
		log.Error().Msg(refused)
		log.Error().Err(locked).Msg("order 19 not stored")
	case "logrus":
		log := logrus.New()
		log.SetFormatter(&logrus.JSONFormatter{})
		log.SetOutput(os.Stdout)
		entry := log.WithField("service", "orders")
		entry.WithField("ms", 12).Info("order 17 stored")
		entry.Warn("order 18 is late")
		entry.Error(refused)
		entry.WithError(locked).Error("order 19 not stored")
	case "panic":
		var orders map[string]int
		orders["17"] = 1
	}
}
