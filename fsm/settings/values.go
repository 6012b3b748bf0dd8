package settings

import "coffer/store"

// The modes of an appliance. Production switches strict defaults on.
const (
	Development = "development"
	Production  = "production"
)

// The spellings of the AEVION surface.
const (
	Seed   = "seed"
	Legacy = "legacy"
)

// Mode is development or production; defaults of others depend on it.
var Mode = oneOf("AEVION_ENV", Development, "mode: production switches strict defaults on", Development, Production)

const maxCount = 1 << 50

// leastKept is longer than any node tries a request again: its id makes sure
// that it applies once.
const leastKept = 10 * store.Minute

// Values of the AEVION surface (contract, Configuration).
var (
	Compat = oneOf("AEVION_COMPAT", Seed, "legacy adds the older spellings and values", Seed, Legacy)

	TokenLifetime   = durationFrom(store.Minute, "AUTH_JWT_EXPIRES_IN", "7d", "lifetime of a session token, at least a minute")
	AdminIsVerified = boolean("AEVION_ADMIN_REQUIRE_VERIFIED_EMAIL", false, true, "admin rights need a verified e-mail")

	QPayNetAdmins   = wordList("QPAYNET_ADMIN_EMAILS", "", "QPayNet administrators; empty means nobody")
	ZTideAdmins     = wordList("ZTIDE_ADMIN_EMAILS", "", "Z-Tide administrators; empty means nobody")
	QChainGovAdmins = wordList("QCHAINGOV_ADMIN_EMAILS", "", "QChainGov administrators; empty means nobody")
	QGoodAdmins     = wordList("QGOOD_ADMIN_EMAILS", "", "QGood administrators; empty means nobody")

	DailyDepositCap = integer("QPAYNET_DAILY_DEPOSIT_CAP", 500_000, 0, maxCount, "whole KZT a user may deposit in 24 h before KYC")
	MaxTransfer     = integer("QPAYNET_MAX_TRANSFER", 100_000, 0, maxCount, "whole KZT per transfer before KYC")
	KYCThreshold    = integer("QPAYNET_KYC_THRESHOLD", 1_000_000, 0, maxCount, "whole KZT a user may send in a month before KYC")
	CapRates        = pairList("QPAYNET_CAP_RATES", "USD:500", "tiyin that one minor unit of a currency counts for caps", positive)
	Currencies      = wordList("QPAYNET_CURRENCIES", "KZT,USD", "currencies of wallets")
	AutoVerify      = boolean("QPAYNET_KYC_AUTO_VERIFY", false, false, "KYC is verified on submission")
	StubDeposit     = boolean("QPAYNET_STUB_DEPOSIT", true, false, "deposits without a payment provider")
	HideBalance     = boolean("QPAYNET_HIDE_COUNTERPARTY_BALANCE", false, false, "a transfer does not show the receiver's balance")
	TransferFee     = integer("QPAYNET_FEE_PPM", 1000, 0, 1_000_000, "fee of transfers and withdrawals, parts per million, rounded up")

	RankLadder = pairList("ZTIDE_RANKS", "seedling:0,sprout:50,steady:140,strong:500,titan:1500", "reputation ranks and their lowest scores", ladder)

	FrontendURL = freeText("FRONTEND_URL", "https://aevion.app", "start of links in receipts and mails")
	BackendURL  = freeText("PUBLIC_BACKEND_URL", "https://api.aevion.app", "server of the OpenAPI documents")
	CORSOrigins = wordList("CORS_ALLOWED_ORIGINS", "*", "origins that browsers may call from")
	ChainScan   = duration("AEVION_CHAIN_VERIFY_INTERVAL", "1h", "how often the whole chain is verified; 0 is never")
)

// Rate classes of the AEVION surface: requests a minute, 0 switches a class
// off.
var (
	RateRead    = integer("AEVION_RATE_READ", 240, 0, maxCount, "reads a minute and client")
	RateWrite   = integer("AEVION_RATE_WRITE", 60, 0, maxCount, "writes a minute and client")
	RateStrict  = integer("AEVION_RATE_STRICT", 20, 0, maxCount, "strict writes, such as logins, a minute and client")
	RateMoney   = integer("AEVION_RATE_MONEY", 30, 0, maxCount, "money movements a minute and client")
	RatePublic  = integer("AEVION_RATE_PUBLIC", 60, 0, maxCount, "public wallet cards a minute and client")
	RateCSV     = integer("AEVION_RATE_CSV", 5, 0, maxCount, "CSV exports a minute and user")
	RateTiers   = pairList("QPAYNET_RATE_TIERS", "", "money limits of single users by e-mail", positive)
	RequestKeep = durationFrom(leastKept, "COFFER_REQUEST_RETENTION", "24h", "how long request ids and idempotency keys are remembered")
)
