"""The half of the corpus that was written before its author had read the redactor: 2026-11-21.

It says how the redactor does on secrets that nobody had in mind when making it. Lines may be added, none taken out.
"""

# ruff: noqa: E501 - a line of the corpus stands on one line

from tests.ingest.redaction import making
from tests.ingest.redaction.making import ALNUM, BASE64, HEX, UPPER, URLSAFE, Shape, letters, one_of

ISSUED = (
    Shape(
        "aws access key id",
        one_of(letters(UPPER, 16, first="AK" + "IA"), letters(UPPER, 16, first="AS" + "IA")),
        (
            "S3 PutObject failed: InvalidAccessKeyId: The AWS Access Key Id § you provided does not exist in our records",
            "signature mismatch, Authorization: AWS4-HMAC-SHA256 Credential=§/20261120/eu-west-1/s3/aws4_request, SignedHeaders=host",
            "cannot assume role: profile [prod] aws_access_key_id = § is disabled",
            "GET https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=§%2F20261121%2Fus-east-1 failed 403",
        ),
    ),
    Shape(
        "aws secret key",
        letters(BASE64, 40),
        (
            "failed to load config: AWS_SECRET_ACCESS_KEY=§ is not accepted for region eu-north-1",
            'credential process returned {"Version": 1, "SecretAccessKey": "§"} error: expired',
            "error in ~/.aws/credentials line 3: aws_secret_access_key = §",
            "boto3.client('s3', aws_secret_access_key='§') raised ClientError",
        ),
    ),
    Shape(
        "aws session token",
        letters(BASE64, 280, 312),
        (
            "ExpiredToken: aws_session_token=§ rejected",
            'sts error body {"Credentials":{"SessionToken":"§","Expiration":"2026-11-21T00:00:00Z"}}',
            "failed request header X-Amz-Security-Token: §",
        ),
    ),
    Shape(
        "github",
        one_of(
            letters(ALNUM, 36, first="gh" + "p_"),
            letters(ALNUM, 36, first="gh" + "s_"),
            letters(ALNUM, 36, first="gh" + "o_"),
            letters(ALNUM, 22, first="github" + "_pat_", last="_" + "q7Zt" * 14 + "abc"),
        ),
        (
            "fatal: unable to access 'https://§@github.com/acme/shop.git/': The requested URL returned error: 403",
            "remote: Invalid username or password for x-access-token § while cloning, error",
            "runner failed: env GITHUB_TOKEN=§ has no scope repo",
            'octokit error {"authorization":"token §","status":401}',
        ),
    ),
    Shape(
        "gitlab",
        one_of(letters(URLSAFE, 20, first="gl" + "pat-"), letters(URLSAFE, 20, first="gl" + "dt-")),
        (
            "fatal: Authentication failed for 'https://oauth2:§@gitlab.example.net/ops/infra.git/'",
            "error 401 from gitlab, header PRIVATE-TOKEN: §",
            "job failed: https://gitlab.example.net/api/v4/projects?private_token=§ returned 404",
        ),
    ),
    Shape(
        "slack",
        one_of(
            letters(ALNUM, 24, first="xo" + "xb-" + "2104839201" + "-4920193847561-"),
            letters(HEX, 64, first="xa" + "pp-1-A02XYZ-3920193847561-"),
            letters(HEX, 32, first="xo" + "xp-" + "2104839201-3920184756-4920193847561-"),
        ),
        (
            "slack alert failed: invalid_auth for bot §",
            "POST https://slack.com/api/chat.postMessage token=§&channel=ops error not_in_channel",
            'panic: slack.New("§") error missing_scope',
        ),
    ),
    Shape(
        "stripe",
        one_of(
            letters(ALNUM, 24, 99, first="sk" + "_live_"),
            letters(ALNUM, 24, first="rk" + "_live_"),
            letters(ALNUM, 32, first="wh" + "sec_"),
            letters(ALNUM, 24, first="sk" + "_test_"),
        ),
        (
            "stripe error: Invalid API Key provided: §",
            "webhook signature verification failed using secret §",
            "payments down: STRIPE_KEY § expired",
            'error in stripe.Charge.create(api_key="§", amount=1200)',
        ),
    ),
    Shape(
        "google",
        one_of(
            letters(URLSAFE, 35, first="AI" + "za"),
            letters(URLSAFE, 120, first="ya" + "29.a0"),
            letters(URLSAFE, 28, first="GOC" + "SPX-"),
        ),
        (
            "geocoding failed: https://maps.googleapis.com/maps/api/geocode/json?address=Oslo&key=§ REQUEST_DENIED",
            "googleapi: Error 403: The request is missing a valid API key § forbidden",
            "oauth exchange failed client_secret § redirect_uri_mismatch",
        ),
    ),
    Shape(
        "model vendors",
        one_of(
            letters(ALNUM, 48, first="s" + "k-"),
            letters(URLSAFE, 120, first="s" + "k-proj-"),
            letters(URLSAFE, 93, first="s" + "k-ant-api03-", last="AA"),
        ),
        (
            "openai.AuthenticationError: Error code: 401 - Incorrect API key provided: §. You can find your API key at the site",
            "llm call failed, x-api-key: § status 401",
            "retry 3 failed OPENAI_API_KEY='§'",
        ),
    ),
    Shape(
        "package registries",
        one_of(
            letters(ALNUM, 36, first="np" + "m_"),
            letters(URLSAFE, 150, first="py" + "pi-AgEIcHlwaS5vcmc"),
            letters(HEX, 48, first="rubygems" + "_"),
        ),
        (
            "npm ERR! //registry.npmjs.org/:_authToken=§ E401",
            "twine upload error: HTTPError: 403 Forbidden with password §",
            "publish failed: token § is revoked",
        ),
    ),
    Shape(
        "sendgrid",
        lambda chance: "S" + "G." + making.run(chance, URLSAFE, 22) + "." + making.run(chance, URLSAFE, 43),
        (
            "mail error: sendgrid rejected § with 401",
            "SENDGRID_API_KEY=§ smtp error 535",
            "smtp auth failed user=apikey pass=§",
        ),
    ),
    Shape(
        "twilio",
        letters(HEX, 32),
        (
            "twilio error 20003 auth_token=§",
            "Twilio::REST::RestError TWILIO_AUTH_TOKEN: '§' authenticate",
            'sms failed {"account_sid": "AC0", "authToken": "§"}',
        ),
    ),
    Shape(
        "vault",
        one_of(letters(URLSAFE, 95, first="hv" + "s.CAESI"), letters(ALNUM, 24, first="s" + ".")),
        (
            "vault error: permission denied, X-Vault-Token: §",
            "VAULT_TOKEN=§ lookup-self failed 403",
            "agent: renewing client_token § failed: lease not found",
        ),
    ),
    Shape(
        "azure",
        making.padded(64),
        (
            "blob error DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=§;EndpointSuffix=core.windows.net",
            "ServiceBus failed Endpoint=sb://shop.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=§",
            "cosmos error AccountEndpoint=https://c.documents.azure.com:443/;AccountKey=§;",
        ),
    ),
    Shape(
        "azure signature",
        letters(ALNUM, 40, last="%2Bx%3D"),
        ("download failed https://shop.blob.core.windows.net/c/f?sv=2022-11-02&se=2026-11-30&sr=b&sp=r&sig=§",),
    ),
    Shape(
        "other vendors",
        one_of(
            letters(HEX, 64, first="do" + "p_v1_"),
            letters(ALNUM, 34, first="h" + "f_"),
            letters(HEX, 32, first="shp" + "at_"),
            letters(ALNUM, 32, first="gl" + "sa_", last="_1a2b3c4d"),
            letters(HEX, 32, first="da" + "pi"),
            letters(UPPER, 27, first="NR" + "AK-"),
            letters(URLSAFE, 35, first="4839201746:AA"),
            letters(UPPER, 58, first="AGE-SECRET" + "-KEY-1"),
        ),
        (
            "unauthorized: § is not valid",
            "request failed with credential §, giving up",
            "error: invalid token '§'",
            'login with "§" failed',
            "Error: 401 [§]",
            "could not refresh (§): timeout",
        ),
    ),
    Shape(
        "webhook",
        one_of(letters(ALNUM, 24, first="T0X3Y9ABC/B0P2Q4RST/")),
        (
            'alert not sent: Post "https://hooks.slack.com/services/§": dial tcp: i/o timeout',
            "slack_url=https://hooks.slack.com/services/§ error no_service",
        ),
    ),
    Shape(
        "webhook discord",
        letters(URLSAFE, 68),
        (
            "notify failed https://discord.com/api/webhooks/1049283746152837465/§ 429",
            "error POST https://discordapp.com/api/webhooks/998877665544332211/§?wait=true",
        ),
    ),
)

CARRIED = (
    Shape(
        "jwt",
        making.jwt,
        (
            "jwt expired: § at 2026-11-21T10:00:00Z",
            "401 Unauthorized Authorization: Bearer §",
            "id_token=§&state=xyz failed validation",
            'error {"access_token":"§","token_type":"Bearer"}',
            "invalid signature for cookie session=§; Path=/",
        ),
    ),
    Shape(
        "bearer",
        one_of(letters(ALNUM, 32, 40), letters(HEX, 40), letters(URLSAFE, 43)),
        (
            "upstream error 401, sent Authorization: Bearer §",
            "curl -H 'authorization: bearer §' https://api.example.net failed",
            "headers={'Authorization': 'Bearer §', 'Accept': '*/*'} request failed",
            "grpc error metadata authorization=[Bearer §]",
        ),
    ),
    Shape(
        "basic",
        making.basic,
        (
            "proxy error 407 Proxy-Authorization: Basic §",
            "Authorization: Basic § rejected with 401",
            'request failed {"headers":{"authorization":"Basic §"}}',
        ),
    ),
    Shape(
        "url password",
        one_of(making.plain_password, letters(ALNUM, 12, last="%40x%2F9")),
        (
            "pika error: cannot connect to amqp://orders:§@rabbit-1.internal:5672/%2Fprod",
            "FATAL could not connect postgres://app_rw:§@10.2.0.15:5432/shop?sslmode=require",
            "redis error redis://:§@cache.internal:6379/0 refused",
            "clone failed https://ci-bot:§@git.example.org/x/y.git",
            "mongo error mongodb+srv://svc:§@cluster0.ab1cd.mongodb.net/test",
            "jdbc:mysql://root:§@db:3306/app Communications link failure",
        ),
    ),
    Shape(
        "url password with signs",
        letters(ALNUM, 9, first="p$w!", last="@#x9y"),
        (
            "sqlalchemy.exc.OperationalError: could not connect postgresql://shop:§@db-1:5432/shop",
            "failed to dial amqp://guest:§@mq:5672/",
        ),
    ),
    Shape(
        "cookie",
        one_of(letters(ALNUM, 32), letters(HEX, 40)),
        (
            "error 500 GET /cart Cookie: theme=dark; sessionid=§; lang=en",
            "bad response Set-Cookie: JSESSIONID=§; Path=/; HttpOnly",
            "csrf failure cookies PHPSESSID=§",
            'error headers {"cookie": "connect.sid=s%3A§"}',
            "login error set-cookie: _shop_session=§; secure",
        ),
    ),
    Shape(
        "query string",
        one_of(making.plain_password, letters(HEX, 32)),
        (
            '10.0.0.7 - - [21/Nov/2026:10:00:00 +0000] "GET /login?user=ann&password=§&next=%2F HTTP/1.1" 500 12',
            "callback failed /oauth/cb?code=§&state=91",
            "GET /v1/weather?q=Oslo&apikey=§ timed out",
            "error https://api.example.net/x?access_token=§#top",
            "retry /download?id=7&token=§ 503",
        ),
    ),
    Shape(
        "kube and docker auths",
        making.basic,
        (
            'pull failed {"auths":{"registry.example.net":{"auth":"§"}}}',
            "ImagePullBackOff: .dockerconfigjson auth: § denied",
        ),
    ),
    Shape(
        "kube client key",
        making.padded(240),
        (
            "kubeconfig error: client-key-data: § is invalid",
            "error loading user kube-admin: {client-key-data: §}",
        ),
    ),
    Shape(
        "totp",
        letters("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 32),
        (
            "enrolment failed otpauth://totp/Shop:ann@example.net?secret=§&issuer=Shop",
            "mfa error: totp_secret=§ out of sync",
        ),
    ),
)

NAMED = (
    Shape(
        "key value",
        one_of(making.plain_password, making.word_password),
        (
            "login failed user=svc password=§ host=db-1",
            "bind error ldap passwd=§",
            "DB_PASSWORD=§ not accepted",
            "error: secret=§",
            "auth failed (user: root, pwd: §)",
            "invalid credentials: pass=§;",
        ),
    ),
    Shape(
        "json",
        one_of(making.plain_password, making.strong_password),
        (
            'login rejected {"user":"ann","password":"§","ip":"10.0.0.9"}',
            'error body={"client_id": "web", "client_secret": "§"}',
            'failed {"db": {"host": "db-1", "passwd": "§"}}',
            'invalid request {"apiKey":"§","n":3}',
            'error: {"refreshToken" : "§"}',
            'bad config {"encryption_key":"§"}',
        ),
    ),
    Shape(
        "yaml",
        one_of(making.plain_password, making.word_password),
        (
            "config error near 'password: §'",
            "cannot parse: secret_key_base: § unexpected",
            'error: db_password: "§"',
            "invalid value spring.datasource.password: §",
        ),
    ),
    Shape(
        "python dict",
        making.strong_password,
        (
            "KeyError in {'user': 'ann', 'password': '§'}",
            "failed connect(**{'host': 'db', 'passwd': '§', 'port': 3306})",
            "ValueError: Settings(db_user='x', db_password='§', debug=False)",
            "error config={'SECRET_KEY': '§'}",
            "failed: Credentials(username=ann, password=§)",
        ),
    ),
    Shape(
        "logfmt",
        one_of(making.plain_password, making.strong_password),
        (
            'level=error msg="bind failed" password="§" attempt=2',
            "level=error caller=auth.go:81 api_key=§ err=denied",
            "error db.password=§ db.user=shop",
        ),
    ),
    Shape(
        "quoted passphrase",
        lambda chance: " ".join(
            chance.sample(("correct", "horse", "battery", "staple", "ribbon", "walnut", "copper"), 4)
        ),
        (
            'unlock failed passphrase="§" for key 3',
            "error: {'passphrase': '§'}",
        ),
    ),
    Shape(
        "flags",
        one_of(making.plain_password, letters(ALNUM, 12)),
        (
            "command failed: mysqldump -u root -p§ shop",
            "exec error: pgtool --user app --password § --host db",
            "exit 1: curl --user admin:§ https://api.example.net",
            "failed: redis-cli -h cache -a § ping",
            "failed cmd ['sshpass', '-p', '§', 'ssh', 'x']",
            "error running java -Djavax.net.ssl.keyStorePassword=§ -jar app.jar",
            "docker login -u ci --password=§ failed",
            "curl -u deploy:§ -X POST failed 401",
        ),
    ),
    Shape(
        "connection string",
        making.strong_password,
        (
            "SqlException: Server=tcp:db.example.net,1433;Database=shop;User ID=app;Password=§;Encrypt=True failed",
            "error Data Source=ora;User Id=scott;Pwd=§;",
            "OperationalError: host=db user=app password=§ dbname=shop",
            "failed: jdbc:sqlserver://db:1433;user=sa;password=§;encrypt=false",
        ),
    ),
    Shape(
        "said",
        one_of(letters(ALNUM, 20, 28), making.word_password),
        (
            "error: the token is § and it expired",
            "reset failed, new password is §",
            "user ann gave password '§' which is wrong",
            "temporary password: § could not be mailed",
            "failed login with password § from 10.0.0.3",
        ),
    ),
    Shape(
        "hash",
        one_of(
            letters(ALNUM + "./", 53, first="$2" + "y$10$"),
            letters(ALNUM + "./", 86, first="$6" + "$rounds=5000$saltstring$"),
            letters(ALNUM + "./", 22, first="$apr" + "1$ab12cd34$"),
            letters(BASE64, 43, first="$argon2" + "id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$"),
        ),
        (
            "htpasswd error line 4: admin:§",
            "shadow parse failure root:§:19500:0:99999:7:::",
            "hash mismatch stored § for user 17",
        ),
    ),
    Shape(
        "netrc",
        making.plain_password,
        (
            "netrc parse error: machine api.example.net login ci password §",
            "bad entry machine git.example.org login bot password § in .netrc",
        ),
    ),
    Shape(
        "hex key",
        letters(HEX, 64),
        (
            "signer error private_key=0x§",
            "wallet failed to import private key § bad checksum",
            "error hmac_key: §",
        ),
    ),
    Shape(
        "card",
        one_of(making.card, making.grouped("-"), making.grouped(" ")),
        (
            "charge failed for card § amount 12.00",
            'payment error {"card_number":"§","exp":"12/28"}',
            "declined: pan=§ code 51",
            "order 81 rejected § invalid",
        ),
    ),
    Shape("card of fifteen", making.amex, ("charge failed card § declined", 'error {"number": "§"}')),
)

KEYS = (
    Shape(
        "pem",
        making.pem("RSA", "\n"),
        (
            f"failed to load key {making.begin('RSA ')}\n§\n{making.end('RSA ')}",
            f"tls error: bad key:\n{making.begin('')}\n§\n{making.end('')}\nat startup",
        ),
    ),
    Shape(
        "pem in one line",
        making.pem("RSA", "\\n"),
        (
            f'error key="{making.begin("")}\\n§\\n{making.end("")}\\n"',
            f'bad service account {{"private_key": "{making.begin("")}\\n§\\n{making.end("")}\\n", "client_id": "1"}}',
        ),
    ),
    Shape(
        "ssh key",
        making.pem("OPENSSH", "\n"),
        (f"Load key failed: {making.begin('OPENSSH ')}\n§\n{making.end('OPENSSH ')}",),
    ),
    Shape(
        "pem cut off",
        making.pem("EC", " "),
        (f"cannot parse {making.begin('EC ')} § ",),
    ),
)

SHAPES = ISSUED + CARRIED + NAMED + KEYS
