package main

import (
	"errors"
	"strings"

	"rosterd/config"
	"rosterd/passwords"
	webapp "rosterd/passwords/web"
)

func webClient(h *config.Host) *webapp.Client {
	return webapp.NewClient("rosterd/"+fullVersion(), config.AuthParallel.Get(h))
}

// httpURL is http_auth_url, with the host in the place of $host.
func httpURL(h *config.Host) (string, error) {
	raw, pos, set := config.HTTPAuthURL.Lookup(h)
	if !set || raw == "" {
		return "", &optionError{pos, config.HTTPAuthURL.Name, errors.New("authentication = \"" + h.AuthProvider() + "\" needs it")}
	}
	url := strings.ReplaceAll(raw, "$host", h.Name)
	if err := webapp.CheckURL(strings.ReplaceAll(url, "$user", "user")); err != nil {
		return "", &optionError{pos, config.HTTPAuthURL.Name, err}
	}
	return url, nil
}

// httpApplication is mod_auth_http.
func httpApplication(h *config.Host) (passwords.Source, error) {
	url, err := httpURL(h)
	if err != nil {
		return nil, err
	}
	credentials, pos, set := config.HTTPAuthCredentials.Lookup(h)
	if set && credentials != "" && !strings.Contains(credentials, ":") {
		return nil, &optionError{pos, config.HTTPAuthCredentials.Name, errors.New("it has to be USER:PASSWORD")}
	}
	return &webapp.Application{Client: webClient(h), URL: url, Credentials: credentials}, nil
}

// httpPage is mod_auth_http_async.
func httpPage(h *config.Host) (passwords.Source, error) {
	url, err := httpURL(h)
	if err != nil {
		return nil, err
	}
	return &webapp.Page{Client: webClient(h), URL: url}, nil
}

// httpPost is mod_auth_custom_http.
func httpPost(h *config.Host) (passwords.Source, error) {
	url, pos, set := config.CustomHTTPAuth.Lookup(h)
	if !set {
		return nil, &optionError{pos, config.CustomHTTPAuth.Name, errors.New(`authentication = "custom_http" needs it: { post_url = "https://…" }`)}
	}
	if err := webapp.CheckURL(url); err != nil {
		return nil, &optionError{pos, config.CustomHTTPAuth.Name, err}
	}
	return &webapp.Post{Client: webClient(h), URL: url}, nil
}
