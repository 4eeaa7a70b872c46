// Wrangler: what every pico can do for itself: children, channels, rulesets, its name.
// The API is the classic one; the work is the engine's (ctx).
ruleset io.picolabs.wrangler {
  meta {
    name "Wrangler"
    description <<The developer's interface to a pico: children, channels, rulesets, queries to other picos>>
    author "Picomesh"
    provides skyQuery, picoQuery, channels, createChannel, deleteChannel, rulesetConfig, rulesetMeta, installedRIDs, children, parent_eci, name, myself, id, did
    shares skyQuery, picoQuery, channels, rulesetConfig, rulesetMeta, installedRIDs, children, parent_eci, name, myself, id, did, __testing
  }

  global {
    __testing = {
      "queries": [
        {"name": "name", "args": []},
        {"name": "myself", "args": []},
        {"name": "children", "args": []},
        {"name": "channels", "args": ["tags"]},
        {"name": "installedRIDs", "args": []},
        {"name": "rulesetMeta", "args": ["rid"]},
        {"name": "picoQuery", "args": ["eci", "mod", "func", "params"]}
      ],
      "events": [
        {"domain": "wrangler", "name": "new_child_request", "attrs": ["name"]},
        {"domain": "wrangler", "name": "child_deletion_request", "attrs": ["eci"]},
        {"domain": "wrangler", "name": "new_channel_request", "attrs": ["tags", "eventPolicy", "queryPolicy"]},
        {"domain": "wrangler", "name": "channel_deletion_request", "attrs": ["eci"]},
        {"domain": "wrangler", "name": "install_ruleset_request", "attrs": ["url"]},
        {"domain": "wrangler", "name": "uninstall_ruleset_request", "attrs": ["rid"]},
        {"domain": "wrangler", "name": "name_changed", "attrs": ["name"]}
      ]
    }

    name = function() { ctx:name }
    id = function() { ctx:picoId }
    did = function() { ctx:did }
    parent_eci = function() { ctx:parent }
    children = function() { ctx:family }
    myself = function() {
      {"name": ctx:name, "id": ctx:picoId, "eci": ctx:eci}
    }

    ruleset_of = function(rid) {
      ctx:rulesets.filter(function(r) { r{"rid"} == rid }).head()
    }
    rulesetConfig = function(rid) { ruleset_of(rid){"config"} }
    rulesetMeta = function(rid) { ruleset_of(rid){["meta", "krlMeta"]} }
    installedRIDs = function() { ctx:rulesets.map(function(r) { r{"rid"} }) }

    tag_key = function(tags) {
      list = tags.typeof() == "Array" => tags | tags.split(",");
      list.map(function(t) { t.lc().trim() }).sort().join(",")
    }
    channels = function(tags) {
      all = ctx:channels;
      tags.isnull() || tags == "" => all
        | all.filter(function(c) { tag_key(c{"tags"}) == tag_key(tags) })
    }
    createChannel = defaction(tags, eventPolicy, queryPolicy) {
      ctx:newChannel(tags, eventPolicy, queryPolicy) setting(channel)
      return channel
    }
    deleteChannel = defaction(eci) {
      ctx:delChannel(eci)
    }

    failure = function(code, message, value) {
      {
        "error": "sky query request was unsuccessful.",
        "httpStatus": {"code": code, "message": message},
        "picoQueryError": value.typeof() == "Map" => value{"error"} | null,
        "picoQueryErrorMsg": value.typeof() == "Map" => value{"error_str"} | null,
        "picoQueryReturnValue": value
      }
    }
    is_own = function(eci) { ctx:owns(eci) }
    over_http = function(eci, mod, func, params, _host, _path, _root_url) {
      root = _root_url || ((_host || meta:host) + (_path || "/sky/cloud/"));
      response = http:get(root + eci + "/" + mod + "/" + func, {}.put(params || {}));
      value = response{"content"}.decode();
      response{"status_code"} == 200 => value
        | failure(response{"status_code"}, response{"status_line"}, value)
    }
    // A query of another pico of this engine reads its committed state at once; of another engine it goes over HTTP.
    picoQuery = function(eci, mod, func, params, _host, _path, _root_url) {
      here = (_host.isnull() || _host == meta:host) && _root_url.isnull();
      is_own(eci) => failure(400, "Pico should not query itself", null)
        | here => at_home(eci, mod, func, params)
        | over_http(eci, mod, func, params, _host, _path, _root_url)
    }
    at_home = function(eci, mod, func, params) {
      answer = ctx:ask(eci, mod, func, params || {});
      answer{"error"}.isnull() => answer{"value"} | failure(500, answer{["error", "message"]}, answer)
    }
    skyQuery = function(eci, mod, func, params, _host, _path, _root_url) {
      is_own(eci) => failure(400, "Pico should not query itself", null)
        | over_http(eci, mod, func, params, _host, _path, _root_url)
    }

    sibling = function(url, rid) {
      parts = url.split("/");
      parts.slice(0, parts.length() - 2).append(rid + ".krl").join("/")
    }
  }

  // ---- a pico begins ---------------------------------------------------------------------------------------

  rule initialize {
    select when wrangler pico_created
    if ctx:parent then
      event:send({"eci": ctx:parent, "domain": "wrangler", "type": "child_initialized",
        "attrs": event:attrs.put({"eci": ctx:eci, "id": ctx:picoId, "did": ctx:did})})
    always {
      raise wrangler event "pico_initialized" attributes event:attrs.put("eci", ctx:eci)
    }
  }

  // ---- children --------------------------------------------------------------------------------------------

  rule create_child {
    select when wrangler new_child_request name re#.+#
    ctx:newChild(event:attr("name"), event:attrs) setting(child)
    fired {
      raise wrangler event "new_child_created"
        attributes event:attrs.put({"eci": child{"eci"}, "id": child{"id"}})
    }
  }

  rule delete_child {
    select when wrangler child_deletion_request eci re#^(.+)$# setting(eci)
    ctx:delPico(eci)
    fired {
      raise wrangler event "child_deleted" attributes event:attrs
    }
  }

  rule ask_to_be_deleted {
    select when wrangler ready_for_deletion
    if ctx:parent then
      event:send({"eci": ctx:parent, "domain": "wrangler", "type": "child_deletion_request",
        "attrs": {"eci": ctx:eci}})
  }

  rule note_name {
    select when wrangler name_changed name re#(.+)# setting(name)
    ctx:rename(name)
  }

  // ---- channels --------------------------------------------------------------------------------------------

  rule create_channel {
    select when wrangler new_channel_request
    pre {
      tags = event:attr("tags")
      eventPolicy = event:attr("eventPolicy")
      queryPolicy = event:attr("queryPolicy")
    }
    if tags && eventPolicy && queryPolicy then
      createChannel(tags, eventPolicy, queryPolicy) setting(channel)
    fired {
      raise wrangler event "channel_created" attributes event:attrs.put({"channel": channel})
    }
  }

  rule delete_channel {
    select when wrangler channel_deletion_request eci re#^(.+)$# setting(eci)
    deleteChannel(eci)
    fired {
      raise wrangler event "channel_deleted" attributes event:attrs
    }
  }

  // ---- rulesets --------------------------------------------------------------------------------------------

  rule install_sibling {
    select when wrangler install_ruleset_request
      absoluteURL re#(.+)#
      rid re#(.+)#
      setting(absoluteURL, rid)
    fired {
      raise wrangler event "install_ruleset_request"
        attributes event:attrs.delete("absoluteURL").put({"url": sibling(absoluteURL, rid)})
    }
  }

  rule install_ruleset {
    select when wrangler install_ruleset_request url re#(.+)# setting(url)
    ctx:install(url, event:attr("config") || {}) setting(rid)
    fired {
      raise wrangler event "ruleset_installed" attributes event:attrs.put({"rids": [rid]})
    }
  }

  rule uninstall_ruleset {
    select when wrangler uninstall_ruleset_request rid re#(.+)# setting(rid)
    ctx:uninstall(rid)
    fired {
      raise wrangler event "ruleset_uninstalled" attributes event:attrs
    }
  }

  rule flush_rulesets {
    select when wrangler rulesets_need_flushing
    foreach ctx:rulesets.filter(function(r) { r{"url"}.match(re#^(https?|file):#) }) setting(r)
      ctx:flush(r{"url"})
    fired {
      raise wrangler event "rulesets_flushed" on final
    }
  }
}
