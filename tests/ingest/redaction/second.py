"""The half of the corpus that was written when the redactor stood, with other lines than the first: 2026-11-21."""

from tests.ingest.redaction import making
from tests.ingest.redaction.making import ALNUM, BASE64, HEX, UPPER, URLSAFE, Shape, letters, one_of

ISSUED = (
    Shape(
        "aws access key id",
        letters(UPPER, 16, first="AK" + "IA"),
        (
            "aws: error: Partial credentials found in env, missing: aws_secret_access_key (access key §)",
            '{"eventName":"AssumeRole","errorCode":"AccessDenied","userIdentity":{"accessKeyId":"§","type":"IAMUser"}}',
            "terraform plan failed\n  provider.aws: access_key=§",
        ),
    ),
    Shape(
        "aws secret key",
        letters(BASE64, 40),
        (
            "[default] aws_access_key_id=" + "AK" + "IAQZ7RT2XKPLM3NVBD aws_secret_access_key=§ parse failure",
            "s3cmd ERROR: secret_key = §",
            "- name: AWS_SECRET_ACCESS_KEY\n  value fails: AWS_SECRET_ACCESS_KEY: '§'",
            "minio: invalid MINIO_SECRET_KEY=§ length",
        ),
    ),
    Shape(
        "github",
        one_of(letters(ALNUM, 36, first="gh" + "p_"), letters(ALNUM, 76, first="gh" + "u_")),
        (
            "git push https://x-access-token:§@github.com/acme/web failed: 128",
            "gh: HTTP 401: Bad credentials (https://api.github.com/user) with §,",
            'Error: Input required: {"with":{"github-token":"§"}}',
        ),
    ),
    Shape(
        "gitlab",
        letters(URLSAFE, 20, first="gl" + "pat-"),
        ("WARNING: Failed to pull: CI_JOB_TOKEN rejected, tried §", "renovate error: hostRules token=§ (401)"),
    ),
    Shape(
        "slack",
        letters(ALNUM, 24, first="xo" + "xb-" + "998877665544-112233445566-"),
        ("bolt-app error: not_authed token='§'", "SLACK_BOT_TOKEN: § fails account_inactive"),
    ),
    Shape(
        "stripe",
        one_of(letters(ALNUM, 24, first="sk" + "_live_"), letters(ALNUM, 38, first="wh" + "sec_")),
        (
            "Stripe::AuthenticationError (Status 401) Expired API Key provided: §",
            "stripe.api_key = '§' failed",
            "sig mismatch [§]",
        ),
    ),
    Shape(
        "google",
        one_of(letters(URLSAFE, 35, first="AI" + "za"), letters(URLSAFE, 44, first="1/" + "/0")),
        ('firebase error {"apiKey":"§","projectId":"shop"}', "invalid_grant refreshing § for client 104"),
    ),
    Shape(
        "model vendors",
        one_of(letters(ALNUM, 48, first="s" + "k-"), letters(URLSAFE, 93, first="s" + "k-ant-api03-")),
        ("anthropic error 401 headers: {'x-api-key': '§'}", "litellm.AuthenticationError: bad key=§"),
    ),
    Shape(
        "package registries",
        one_of(letters(ALNUM, 36, first="np" + "m_"), letters(URLSAFE, 120, first="py" + "pi-AgEIcHlwaS5vcmc")),
        ("error publishing: NODE_AUTH_TOKEN=§", "flit: 403 for __token__:§@upload.pypi.org"),
    ),
    Shape(
        "sendgrid and mail",
        one_of(
            lambda chance: "S" + "G." + making.run(chance, URLSAFE, 22) + "." + making.run(chance, URLSAFE, 43),
            letters(HEX, 32, first="ke" + "y-"),
        ),
        ("mailer error: 535 authentication failed for apikey/§", "mailgun: Forbidden api:§"),
    ),
    Shape("twilio", letters(HEX, 32), ("Unable to create record: TWILIO_TOKEN=§", 'twilio {"auth_token":"§"} 20003')),
    Shape(
        "vault",
        one_of(letters(URLSAFE, 90, first="hv" + "s."), letters(URLSAFE, 138, first="hv" + "b.AAAA")),
        ("URL: PUT http://vault:8200/v1/auth/token/renew-self Code: 403 token §", "vault-agent: sink error §"),
    ),
    Shape(
        "azure",
        making.padded(64),
        (
            "AzureWebJobsStorage error: BlobEndpoint=https://x.blob.core.windows.net/;AccountName=x;AccountKey=§",
            "iot hub: HostName=h.azure-devices.net;DeviceId=d1;SharedAccessKey=§ unauthorized",
        ),
    ),
    Shape(
        "azure client secret",
        lambda chance: making.run(chance, ALNUM, 3) + "8" + "Q~" + making.run(chance, ALNUM + "_~-", 34),
        ("AADSTS7000215: Invalid client secret provided: §", "azuread: ARM_CLIENT_SECRET=§ error"),
    ),
    Shape(
        "other vendors",
        one_of(
            letters(HEX, 32, first="shp" + "at_"),
            letters(ALNUM, 34, first="h" + "f_"),
            letters(HEX, 64, first="do" + "p_v1_"),
            letters(ALNUM, 32, first="fl" + "yv_"),
            letters(ALNUM, 40, first="acme" + "_prod_"),
        ),
        ("denied for §", "ERR 403 <§>", "cannot use key §."),
    ),
    Shape(
        "webhook",
        letters(ALNUM, 24, first="T1Z2Y3X4W/B5V6U7T8S/"),
        (
            "requests.exceptions.HTTPError: 404 for url: https://hooks.slack.com/services/§",
            "webhook_url: 'https://hooks.slack.com/services/§'",
        ),
    ),
    Shape(
        "webhook telegram",
        letters(URLSAFE, 33, first="5839201746:AA"),
        ('telegram: Post "https://api.telegram.org/bot§/sendMessage": context deadline exceeded',),
    ),
)

CARRIED = (
    Shape(
        "jwt",
        making.jwt,
        (
            "JWTError: Signature has expired (§)",
            "GET /ws?jwt=§ 401",
            "AxiosError: 401 config.headers.Authorization='Bearer §'",
            "X-Auth: § invalid",
        ),
    ),
    Shape(
        "bearer",
        one_of(letters(ALNUM, 24, 48), letters(HEX, 64)),
        (
            "> Authorization: Bearer §\n> Host: api\n< HTTP/1.1 500",
            '"Authorization":["Bearer §"],"Accept":["*/*"]} error',
            "map[Accept:[*/*] Authorization:[Bearer §]] failed",
            "exchange failed: Bearer%20§",
        ),
    ),
    Shape(
        "basic",
        making.basic,
        (
            "WARN bad upstream: {authorization=[Basic §], host=[a]}",
            "401 for basic §",
            "squid auth error: Basic §\\r\\n",
        ),
    ),
    Shape(
        "header key",
        one_of(letters(ALNUM, 32), letters(HEX, 40)),
        (
            "X-Api-Key: § rejected",
            "failed with headers X-Auth-Token=§, X-Request-Id=17",
            "bad request {'X-API-KEY': '§', 'Accept': '*/*'}",
            "DD-API-KEY: § forbidden",
        ),
    ),
    Shape(
        "url password",
        making.plain_password,
        (
            "kombu.exceptions.OperationalError: amqps://celery:§@mq.example.net:5671//",
            'psycopg2.OperationalError: could not translate "postgresql+psycopg2://web:§@pg/web"',
            "Error: getaddrinfo ENOTFOUND, DATABASE_URL=mysql://app:§@mysql:3306/app?ssl=1",
            "rediss://default:§@redis-17.cloud.example.com:16379 unreachable",
            "ftp://upload:§@ftp.example.org/in refused",
            "proxy error http_proxy=http://user:§@proxy.local:3128/",
            "smtp://noreply%40example.org:§@smtp.example.org:587 auth failed",
            "jdbc:postgresql://pg:5432/x?user=app&password=§&ssl=true failed",
        ),
    ),
    Shape(
        "url password with signs",
        one_of(
            letters(ALNUM, 8, first="Q!", last="&7#pZ"),
            letters(ALNUM, 8, first="aZ/", last="+9/x"),
            letters(ALNUM, 8, last="@@k2Wz"),
        ),
        (
            "cannot connect to mongodb://root:§@mongo-0:27017/admin",
            "bad url 'amqp://svc:§@mq/vhost'",
            "tcp error postgres://a:§@[::1]:5432/b",
        ),
    ),
    Shape(
        "dsn",
        making.plain_password,
        (
            "sql: ping failed dsn=app:§@tcp(10.1.2.3:3306)/shop?parseTime=true",
            "ORA-01017: jdbc:oracle:thin:scott/§@//ora:1521/X",
        ),
    ),
    Shape(
        "cookie",
        one_of(letters(ALNUM, 26), letters(HEX, 32), letters(URLSAFE, 64)),
        (
            "invalid session, Cookie: _ga=GA1.2.3; SESSION=§",
            "response headers: {'Set-Cookie': 'sid=§; HttpOnly; Secure'} error",
            "Traefik error cookie: laravel_session=§",
            "bad csrf, cookies={'csrftoken': '§'}",
            "< Set-Cookie: AWSALB=§; Expires=Sat, 28 Nov 2026 10:00:00 GMT; Path=/",
        ),
    ),
    Shape(
        "query string",
        one_of(letters(ALNUM, 20), letters(HEX, 32)),
        (
            'upstream prematurely closed, request: "POST /reset?reset_token=§ HTTP/2.0"',
            "referrer: https://x.example.net/cb?id_token=§&a=1 error",
            "failed GET /feed?auth_key=§&page=3",
            "redirect loop /sso?next=%2Fhome%3Ftoken%3D§",
            "error: url=/api?client_id=web&client_secret=§",
            "HEAD /f?Expires=1700000000&Signature=§&Key-Pair-Id=K1 403",
        ),
    ),
    Shape(
        "kube and docker auths",
        making.basic,
        ('{"auths": {"https://index.docker.io/v1/": {"auth": "§"}}} invalid', "registry error: auth=§"),
    ),
    Shape(
        "kube client key",
        making.padded(300),
        ("users:\n- user:\n    client-key-data: §\n  name: x invalid", "kubectl failed --client-key-data=§"),
    ),
    Shape(
        "totp",
        letters("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16, 32),
        ("bad uri otpauth://hotp/A:b?issuer=A&secret=§&counter=1", "2fa failed: otp_secret: §"),
    ),
)

NAMED = (
    Shape(
        "key value",
        one_of(making.plain_password, making.word_password),
        (
            "rejected: username=jo password=§",
            "SMTP_PASS=§ smtp error",
            "ldapsearch failed bindpw=§",
            "error ADMIN_PWD='§'",
            "pg_dump: PGPASSWORD=§ authentication failed",
            "keystore.password=§ was incorrect",
            "passcode:§ rejected",
        ),
    ),
    Shape(
        "json",
        one_of(making.plain_password, making.strong_password),
        (
            '422 {"password":"§","password_confirmation":"no"}',
            'panic {"Auth":{"Username":"x","Password":"§"}}',
            '{"old_password": "§"} mismatch error',
            'error {"dbPass":"§","dbUser":"a"}',
            '{"key":"smtp","smtp_password":"§","port":25} failed',
            '{"new_password1":"§"}',
        ),
    ),
    Shape(
        "yaml",
        one_of(making.plain_password, making.word_password),
        (
            "bad values:\n  auth:\n    password: §\n    user: a",
            "rabbitmq.conf: default_pass = §",
            "error in line 7: rootPassword: '§'",
        ),
    ),
    Shape(
        "python dict",
        making.strong_password,
        (
            "TypeError: connect() got {'pw': '§', 'user': 'a'}",
            "<Config api_secret='§' timeout=3> invalid",
            "{'auth': ('ann', 'x'), 'passphrase': u'§'}",
            "Namespace(token='§', dry_run=False) failed",
        ),
    ),
    Shape(
        "logfmt",
        one_of(making.plain_password, making.strong_password),
        ("err=denied user_password=§ n=3", 'lvl=eror pass="§" t=1'),
    ),
    Shape(
        "xml",
        making.plain_password,
        (
            'SOAP fault <wsse:Password Type="text">§</wsse:Password>',
            "bad config <password>§</password>",
            '<add key="p" password="§" />',
        ),
    ),
    Shape(
        "flags",
        one_of(making.plain_password, making.word_password),
        (
            "non-zero exit: ['mysql', '-uroot', '-p§', 'app']",
            "Command 'mongodump --username bk --password §' returned 1",
            "sh: sqlcmd -S db -U sa -P § -Q 'select 1' failed",
            "failed: ldapwhoami -x -D cn=admin -w § -H ldap://l",
            "wget --http-password=§ https://x.example.net failed",
            "helm upgrade --set db.password=§ x ./x: error",
            "vault login --token § denied",
            "docker login registry.example.net -u ci -p § : unauthorized",
        ),
    ),
    Shape(
        "connection string",
        making.strong_password,
        (
            "Npgsql: Host=pg;Username=app;Password=§;Database=x timeout",
            "ODBC error DRIVER={ODBC};SERVER=s;UID=u;PWD=§",
            "redis.example.net:6380,password=§,ssl=True,abortConnect=False refused",
        ),
    ),
    Shape(
        "said",
        one_of(letters(ALNUM, 22), making.word_password),
        (
            "your password is § please change it, mail failed",
            "could not log in with password: §",
            'password "§" rejected',
            "one-time password for ann is § expired",
        ),
    ),
    Shape(
        "said token",
        one_of(letters(ALNUM, 22, 40), letters(HEX, 40)),
        ("invalid token § used", "access token was § but is revoked", "api key '§' unknown"),
    ),
    Shape(
        "hash",
        one_of(
            letters(ALNUM + "./", 53, first="$2" + "b$12$"),
            letters(ALNUM + "./", 86, first="$6" + "$ab12cd34ef$"),
            letters(ALNUM + "./", 43, first="$y" + "$j9T$abcdefgh$"),
        ),
        ("crypt(3) failed for §", "INSERT INTO users VALUES ('a','§') duplicate key error"),
    ),
    Shape(
        "hash of frameworks",
        letters(BASE64, 43, last="="),
        ("check failed pbkdf2_sha256$260000$abcdefgh$§", "ldap error userPassword: {SSHA}§"),
    ),
    Shape("netrc", making.plain_password, ("curl: netrc: machine h.example.org\n  login me\n  password §\n bad",)),
    Shape(
        "hex key",
        letters(HEX, 64),
        ("invalid PRIVATE_KEY=§", "secret key § out of range", "eth: could not decrypt private key: §"),
    ),
    Shape(
        "card",
        one_of(making.card, making.grouped(" "), making.grouped("-")),
        (
            "gateway timeout pan § cvv 123",
            'stripe {"card":{"number":"§"}} declined',
            "do_not_honor: §.",
            "cc=§&exp=0129 failed",
        ),
    ),
    Shape("card of fifteen", making.amex, ("AVS mismatch for §", "ccnum=§ rejected")),
)

KEYS = (
    Shape(
        "pem",
        making.pem("RSA", "\n"),
        (
            f"ssl.SSLError: bad PEM {making.begin('ENCRYPTED ')}\n§\n{making.end('ENCRYPTED ')}\n",
            f"{making.begin('DSA ')}\n§\n{making.end('DSA ')} error",
        ),
    ),
    Shape(
        "pem in one line",
        making.pem("EC", "\\n"),
        (
            f"PRIVATE_KEY='{making.begin('EC ')}\\n§\\n{making.end('EC ')}' could not be parsed",
            f'{{"private_key":"{making.begin("")}\\n§\\n{making.end("")}"}} error',
        ),
    ),
    Shape(
        "pgp key",
        making.pem("RSA", "\n"),
        (f"gpg: {making.begin('PGP ')[:-5]} BLOCK-----\n\n§\n=abcd\n{making.end('PGP ')[:-5]} BLOCK----- failed",),
    ),
    Shape(
        "putty key",
        making.pem("RSA", "\n"),
        ("PuTTY-User-Key-File-3: ssh-rsa error\nPrivate-Lines: 4\n§\nPrivate-MAC: 0",),
    ),
)

SPOKEN = (
    Shape(
        "sql",
        making.strong_password,
        (
            "syntax error: CREATE USER 'app'@'%' IDENTIFIED BY '§'",
            "denied: ALTER ROLE app WITH PASSWORD '§'",
            "error in SET PASSWORD FOR 'app' = '§'",
        ),
    ),
    Shape(
        "protocol",
        making.word_password,
        ("redis error: AUTH § rejected", "ftp 530: USER ann PASS §", "imap: a1 LOGIN ann § failed"),
    ),
    Shape("sasl", making.basic, ("535 5.7.8 error after AUTH PLAIN §", "smtp failed: AUTH LOGIN §")),
    Shape(
        "one-time code",
        letters("0123456789", 6, 8),
        ("otp=§ is invalid", "error: verification code is §", "mail failed: login code: §"),
    ),
    Shape(
        "other languages",
        one_of(making.plain_password, making.word_password),
        (
            "Passwort: § ist falsch",
            "error contraseña=§",
            "échec, mot de passe: §",
            "ошибка пароль=§",
            "失败 密码\uff1a§",
        ),
    ),
    Shape(
        "link",
        letters(ALNUM, 40),
        ("mail error https://shop.example.net/reset/§", "bounced: https://shop.example.net/password-reset/§"),
    ),
    Shape("shared key", letters(ALNUM, 16), ('wpa error psk="§"', "ike error PSK=§")),
)

SHAPES = ISSUED + CARRIED + NAMED + KEYS + SPOKEN
