//! What identity servers answer, each in its own way. The tokens are made up.

/// A server's answers. `@ID@` stands for an ID token, `@AT@` for an access token that is a JWT.
pub struct Server {
    pub name: &'static str,
    /// What a code brings.
    pub first: &'static str,
    /// What the first refresh token brings.
    pub second: &'static str,
    pub lifetime_s: f64,
    /// The refresh token of the first, the second, and the third request for new tokens.
    pub refresh_tokens: [&'static str; 3],
    /// What is known of the scope after the first and the second answer.
    pub scopes: [Option<&'static str>; 2],
    /// A refresh token that is no good any more.
    pub rejection: (u16, &'static str),
}

pub const SERVERS: [Server; 10] = [
    Server {
        name: "IdentityServer4, one-time refresh tokens",
        first: r#"{"id_token":"@ID@","access_token":"@AT@","expires_in":3600,"token_type":"Bearer","refresh_token":"7A5FC60B8E2D","scope":"openid profile orders offline_access"}"#,
        second: r#"{"id_token":"@ID@","access_token":"@AT@","expires_in":3600,"token_type":"Bearer","refresh_token":"0C41D2F9A7B3","scope":"openid profile orders offline_access"}"#,
        lifetime_s: 3_600.0,
        refresh_tokens: ["7A5FC60B8E2D", "0C41D2F9A7B3", "0C41D2F9A7B3"],
        scopes: [Some("openid profile orders offline_access"); 2],
        rejection: (400, r#"{"error":"invalid_grant"}"#),
    },
    Server {
        name: "Duende IdentityServer, reusable refresh tokens with a sliding lifetime",
        first: r#"{"id_token":"@ID@","access_token":"@AT@","expires_in":300,"token_type":"Bearer","refresh_token":"4FD1B2C3-1","scope":"openid orders offline_access"}"#,
        second: r#"{"id_token":"@ID@","access_token":"@AT@","expires_in":300,"token_type":"Bearer","refresh_token":"4FD1B2C3-1","scope":"openid orders offline_access"}"#,
        lifetime_s: 300.0,
        refresh_tokens: ["4FD1B2C3-1"; 3],
        scopes: [Some("openid orders offline_access"); 2],
        rejection: (400, r#"{"error":"invalid_grant","error_description":"invalid_refresh_token"}"#),
    },
    Server {
        name: "Keycloak, refresh tokens are JWTs and rotate",
        first: r#"{"access_token":"@AT@","expires_in":300,"refresh_expires_in":1800,"refresh_token":"eyJh.eyJqdGkiOiIxIn0.c2ln","token_type":"Bearer","id_token":"@ID@","not-before-policy":0,"session_state":"8a1f","scope":"openid email profile"}"#,
        second: r#"{"access_token":"@AT@","expires_in":300,"refresh_expires_in":1800,"refresh_token":"eyJh.eyJqdGkiOiIyIn0.c2ln","token_type":"Bearer","id_token":"@ID@","not-before-policy":0,"session_state":"8a1f","scope":"openid email profile"}"#,
        lifetime_s: 300.0,
        refresh_tokens: ["eyJh.eyJqdGkiOiIxIn0.c2ln", "eyJh.eyJqdGkiOiIyIn0.c2ln", "eyJh.eyJqdGkiOiIyIn0.c2ln"],
        scopes: [Some("openid email profile"); 2],
        rejection: (400, r#"{"error":"invalid_grant","error_description":"Token is not active"}"#),
    },
    Server {
        name: "Keycloak, an offline token",
        first: r#"{"access_token":"@AT@","expires_in":60,"refresh_expires_in":0,"refresh_token":"eyJh.b2ZmbGluZQ.c2ln","token_type":"Bearer","id_token":"@ID@","not-before-policy":0,"scope":"openid offline_access"}"#,
        second: r#"{"access_token":"@AT@","expires_in":60,"refresh_expires_in":0,"refresh_token":"eyJh.b2ZmbGluZQ.c2ln","token_type":"Bearer","not-before-policy":0,"scope":"openid offline_access"}"#,
        lifetime_s: 60.0,
        refresh_tokens: ["eyJh.b2ZmbGluZQ.c2ln"; 3],
        scopes: [Some("openid offline_access"); 2],
        rejection: (400, r#"{"error":"invalid_grant","error_description":"Offline user session not found"}"#),
    },
    Server {
        name: "Auth0, rotation off",
        first: r#"{"access_token":"@AT@","refresh_token":"v1.MdYAuJq2","id_token":"@ID@","scope":"openid profile offline_access","expires_in":86400,"token_type":"Bearer"}"#,
        second: r#"{"access_token":"@AT@","id_token":"@ID@","scope":"openid profile offline_access","expires_in":86400,"token_type":"Bearer"}"#,
        lifetime_s: 86_400.0,
        refresh_tokens: ["v1.MdYAuJq2"; 3],
        scopes: [Some("openid profile offline_access"); 2],
        rejection: (403, r#"{"error":"invalid_grant","error_description":"Unknown or invalid refresh token."}"#),
    },
    Server {
        name: "Okta, opaque and rotated",
        first: r#"{"token_type":"Bearer","expires_in":3600,"access_token":"@AT@","scope":"offline_access openid orders","refresh_token":"a9VpZDRCeFh3Nkk2VdY","id_token":"@ID@"}"#,
        second: r#"{"token_type":"Bearer","expires_in":3600,"access_token":"@AT@","scope":"offline_access openid","refresh_token":"MTBlYjU2NDctN2Zk","id_token":"@ID@"}"#,
        lifetime_s: 3_600.0,
        refresh_tokens: ["a9VpZDRCeFh3Nkk2VdY", "MTBlYjU2NDctN2Zk", "MTBlYjU2NDctN2Zk"],
        // RFC 6749 section 6: it may be less than before.
        scopes: [Some("offline_access openid orders"), Some("offline_access openid")],
        rejection: (400, r#"{"error":"invalid_grant","error_description":"The refresh token is invalid or expired."}"#),
    },
    Server {
        name: "Entra ID, v1: numbers are strings",
        first: r#"{"token_type":"Bearer","scope":"user_impersonation","expires_in":"3599","ext_expires_in":"3599","expires_on":"1800003599","not_before":"1799999700","resource":"https://api.test","access_token":"@AT@","refresh_token":"0.AXwA-1","id_token":"@ID@"}"#,
        second: r#"{"token_type":"Bearer","scope":"user_impersonation","expires_in":"3599","ext_expires_in":"3599","expires_on":"1800007198","not_before":"1800003299","resource":"https://api.test","access_token":"@AT@","refresh_token":"0.AXwA-2","id_token":"@ID@"}"#,
        lifetime_s: 3_599.0,
        refresh_tokens: ["0.AXwA-1", "0.AXwA-2", "0.AXwA-2"],
        scopes: [Some("user_impersonation"); 2],
        rejection: (
            400,
            r#"{"error":"invalid_grant","error_description":"AADSTS700084: The refresh token was issued to a single page app (SPA).\r\nTrace ID: 0f1e","error_codes":[700084],"timestamp":"2027-01-15 08:00:00Z","trace_id":"0f1e","correlation_id":"2d3c","error_uri":"https://login.test/error?code=700084"}"#,
        ),
    },
    Server {
        name: "Entra ID, v2, to a single-page app",
        first: r#"{"token_type":"Bearer","scope":"api://orders/read openid profile","expires_in":4829,"ext_expires_in":4829,"access_token":"@AT@","refresh_token":"1.AXwA-1","refresh_token_expires_in":86399,"id_token":"@ID@","client_info":"eyJ1aWQiOiIxIn0"}"#,
        second: r#"{"token_type":"Bearer","scope":"api://orders/read openid profile","expires_in":4829,"ext_expires_in":4829,"access_token":"@AT@","refresh_token":"1.AXwA-2","refresh_token_expires_in":82800,"id_token":"@ID@","client_info":"eyJ1aWQiOiIxIn0"}"#,
        lifetime_s: 4_829.0,
        refresh_tokens: ["1.AXwA-1", "1.AXwA-2", "1.AXwA-2"],
        scopes: [Some("api://orders/read openid profile"); 2],
        rejection: (
            400,
            r#"{"error":"interaction_required","error_description":"AADSTS50076: …","error_codes":[50076],"trace_id":"0f1e","correlation_id":"2d3c","suberror":"basic_action","claims":"{\"access_token\":{}}"}"#,
        ),
    },
    Server {
        name: "Google, an opaque access token",
        first: r#"{"access_token":"ya29.a0Af_1","expires_in":3599,"refresh_token":"1//0gLu-1","scope":"https://www.googleapis.com/auth/userinfo.email openid","token_type":"Bearer","id_token":"@ID@"}"#,
        second: r#"{"access_token":"ya29.a0Af_2","expires_in":3599,"scope":"openid https://www.googleapis.com/auth/userinfo.email","token_type":"Bearer","id_token":"@ID@"}"#,
        lifetime_s: 3_599.0,
        refresh_tokens: ["1//0gLu-1"; 3],
        scopes: [
            Some("https://www.googleapis.com/auth/userinfo.email openid"),
            Some("openid https://www.googleapis.com/auth/userinfo.email"),
        ],
        rejection: (400, r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#),
    },
    Server {
        name: "a server that says only what it must",
        first: r#"{"access_token":"@AT@","token_type":"bearer","refresh_token":"r-1","id_token":"@ID@"}"#,
        second: r#"{"access_token":"@AT@","token_type":"BEARER","refresh_token":"","scope":null,"expires_in":null}"#,
        // The JWT's own.
        lifetime_s: 900.0,
        refresh_tokens: ["r-1"; 3],
        scopes: [None; 2],
        rejection: (400, r#"{"error":"invalid_grant"}"#),
    },
];
